package firstboot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/appliance/words"
	"redhen/images/layout"
	"redhen/provision/seed"
)

// TestCardsInWords says what is wrong with the cards of package seed, letter by letter.
func TestCardsInWords(t *testing.T) {
	const unused = "the password set while writing the card is not used; set one on the box’s own page"
	for name, want := range map[string][]string{
		"broken": {
			"network-config, line 2: the file cannot be read from here on; is it indented with tabs, or a quotation mark missing?",
			"rpi-preseed.toml: wlan.password: this has the wrong kind of value",
			"redhen.toml, line 1: this line cannot be read; is a quotation mark or an equals sign missing?",
			"redhen-wifi.txt, line 2: a Wi-Fi password has 8 to 63 characters",
			"redhen-wlan.txt: a file of this name is not read; known names are redhen.toml, redhen-wifi.txt and redhen-reset.txt",
		},
		"gift":                 nil,
		"imager-1-firstrun":    {"firstrun.sh, line 15: " + unused},
		"imager-2.0-cloudinit": {"user-data, line 23: " + unused},
		"imager-preseed":       {"rpi-preseed.toml: " + unused},
		"notepad":              {"redhen.toml: clour: this is not known here and means nothing"},
	} {
		card := t.TempDir()
		if err := os.CopyFS(card, os.DirFS(filepath.Join("../../provision/seed/testdata/cards", name))); err != nil {
			t.Fatal(err)
		}
		s := Open(Config{Card: seed.Dir(card), Data: seed.Path(filepath.Join(t.TempDir(), "seed.toml"))})
		if diff := cmp.Diff(want, s.State().Told(nil)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestProblemsInWords says the facts of each kind of problem.
func TestProblemsInWords(t *testing.T) {
	wifi := "network:\n  wifis:\n    wlan0:\n      access-points:\n        "
	for _, c := range []struct {
		file, in string
		want     []string
	}{
		{"redhen-wifi.txt", "# only\n", []string{"redhen-wifi.txt: the file is empty; write the name of the Wi-Fi on the first line and its password on the second"}},
		{"redhen-wifi.txt", "password: password", []string{"redhen-wifi.txt: there is no line with the name of a Wi-Fi"}},
		{"redhen-wifi.txt", "password: password\nname: a\npassword: passwords\nname: b", []string{"redhen-wifi.txt, line 1: a password stands above the first name; write the name of each Wi-Fi above its password"}},
		{"redhen-wifi.txt", "name: a\ncolour: red", []string{"redhen-wifi.txt, line 2: this line is not understood; it begins with name, password, country or hidden, then a colon"}},
		{"redhen-wifi.txt", "a\npassword\nmore", []string{"redhen-wifi.txt, line 3: only the first two lines are read: name and password"}},
		{"redhen-wifi.txt", "name: a\ncountry: Germany", []string{"redhen-wifi.txt, line 2: country: a country is two letters, such as GB or DE"}},
		{"redhen-wifi.txt", strings.Repeat("#", seed.MaxFile+1), []string{"redhen-wifi.txt: larger than 64 KiB, so it is not read"}},
		{"redhen-wifi.txt", "\x7fELF\x00\x00\x01", []string{"redhen-wifi.txt: this is not a text file"}},
		{"network-config", wifi + "\"caf\\xE9\": {password: short}", []string{"network-config, line 5: Wi-Fi “caf\uFFFD”: a Wi-Fi password has 8 to 63 characters"}},
		{"network-config", wifi + "work: {auth: {key-management: eap}}", []string{"network-config, line 5: Wi-Fi “work”: this network asks who somebody is as well as for a password; redhen cannot join such networks"}},
		{"user-data", "#!/bin/sh\nhostname foo\n", []string{"user-data, line 2: there is nothing here that redhen understands"}},
		{"redhen.toml", "version = 9\nhouse = 7\nbox = \"a\\tb\"\nticket = \"half a tick\"\nways = [3]\n[[wifi]]\nssid_hex = \"zz\"\n", []string{
			"redhen.toml: this file was made for a newer redhen; what is not understood is left out",
			"redhen.toml: house: this has the wrong kind of value",
			"redhen.toml: box: a name is 1 to 64 letters, digits and ordinary signs",
			"redhen.toml: ticket: the ticket is not complete; copy it again as a whole",
			"redhen.toml: ways: number 1 cannot be read",
			"redhen.toml: a Wi-Fi name in hex digits cannot be read",
			"redhen.toml: a Wi-Fi network without a name is left out",
		}},
		{"firstrun.sh", "imager_custom set_wlan a short GB", []string{"firstrun.sh, line 1: Wi-Fi “a”: a Wi-Fi password has 8 to 63 characters"}},
	} {
		var got []string
		for _, p := range parsed(t, c.file, []byte(c.in)) {
			got = append(got, Explain(words.English(), p))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%.60q: %s", c.in, diff)
		}
	}
}

func parsed(t *testing.T, file string, b []byte) (list []seed.Problem) {
	t.Helper()
	switch file {
	case "redhen-wifi.txt":
		_, list = seed.ParseWifiText(b)
	case "network-config":
		_, list = seed.ParseNetworkConfig(b)
	case "user-data":
		_, list = seed.ParseUserData(b)
	case "redhen.toml":
		_, list = seed.ParseRedhen(b)
	case "firstrun.sh":
		_, list = seed.ParseFirstRun(b)
	default:
		t.Fatal(file)
	}
	return list
}

// TestAProblemInALanguage: what the card says is in the page's language, not in English.
func TestAProblemInALanguage(t *testing.T) {
	german, err := words.Parse("de", "card.wrong.key = ein Passwort hat 8 bis 63 Zeichen\ncard.in-line = {file}, Zeile {line}: {problem}\ncard.stick = Auf einem Stick: {problem}\n")
	if err != nil {
		t.Fatal(err)
	}
	p := Problem{Stick: true, Found: seed.Problem{File: "redhen-wifi.txt", Line: 2, Code: seed.BadKey}}
	if got, want := p.In(german), "Auf einem Stick: redhen-wifi.txt, Zeile 2: ein Passwort hat 8 bis 63 Zeichen"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTheSystemsStartInWords says what the system's own start found wrong.
func TestTheSystemsStartInWords(t *testing.T) {
	s := Open(Config{Data: seed.Path(filepath.Join(t.TempDir(), "seed.toml")), Found: []layout.Fault{
		{Code: layout.DiskFaulty, Disk: "USB disk Extreme"}, {Code: layout.NotMoved, Disk: "USB disk Extreme", Why: "no such device"}, {Code: layout.NoSettings, Why: "bad superblock"},
	}})
	if diff := cmp.Diff([]string{
		"Something was wrong with the file system of USB disk Extreme. What friends keep is not affected, and what is damaged here is fetched from them. The disk may be worn out: have a new one ready.",
		"What this box keeps was to move to USB disk Extreme, but that does not work (no such device). Nothing is lost: all is on the card as before.",
		"The part of the card that holds settings cannot be read (bad superblock). Files are not affected. Settings on the card and updates do not work; write the card anew when there is time.",
	}, s.State().Told(nil)); diff != "" {
		t.Error(diff)
	}
}
