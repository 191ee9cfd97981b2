package seed

import "strings"

// readPreseed reads the rpi-preseed.toml of Imager 2.0.11 and later (schema of the
// rpi-preseed package, versions 1.0 and 1.1). Sections that mean nothing on a redhen
// (ssh, interfaces, packages, …) are passed over.
func readPreseed(b []byte, p *problems) (s Seed) {
	t, ok := openTOML(b, p)
	if !ok {
		return s
	}
	if v, _ := take[string](t, "config_version"); v != "" && !strings.HasPrefix(v, "1.") {
		p.note(Problem{Code: NewerImager})
	}
	if system, ok := t.table("system"); ok {
		system.text("hostname", hostName, &s.Box)
	}
	if user, ok := t.table("user"); ok {
		user.text("name", checkLogin, &s.Keeper)
		if _, ok := user.m["password"]; ok {
			p.note(Problem{Code: FirstLogin})
		}
	}
	if locale, ok := t.table("locale"); ok {
		locale.text("timezone", checkZone, &s.TimeZone)
	}
	if wlan, ok := t.table("wlan"); ok {
		readPreseedWLAN(wlan, &s)
	}
	if ethernet, ok := t.table("ethernet"); ok && ethernet.m["method"] == "static" {
		p.note(Problem{Code: FixedAddress})
	}
	return s
}

func readPreseedWLAN(t *tomlTable, s *Seed) {
	if _, name := t.m["ssid"]; !name && t.m["ssid_hex"] == nil { // a country alone
		t.text("country", checkCountry, &s.Country)
		return
	}
	w, ok := readWifi(t, "password")
	if !ok {
		return
	}
	if t.m["key_mgmt"] == "sae" && w.PMK != "" {
		t.p.broken(Problem{Network: w.SSID, Code: NeedsText})
	}
	s.Country = w.Country
	s.addWifi(w, t.p, 0)
}
