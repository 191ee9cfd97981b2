package seed

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const pmk = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"

func TestRenderIsReadBack(t *testing.T) {
	s := gift(t)
	s.Circle, s.Reset = "The Four", Reset{Wanted: true, Password: "p\"\\\x7fssword"}
	got, problems := ParseRedhen(Render(s))
	if !got.Equal(s) || len(problems) != 0 {
		t.Errorf("got\n%s\n%v\nwant\n%s", Render(got), problems, Render(s))
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	s := gift(t)
	s.Reset.Password = "a new password"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out := fmt.Sprintf(verb, s)
		for _, secret := range []string{string(s.Ticket), "the first password", "correct horse", strings.Repeat("0a", 32), "a new password", "636f7272656374"} {
			if strings.Contains(out, secret) {
				t.Errorf("%s prints %q", verb, secret)
			}
		}
	}
}

// One way that cannot be read costs neither the others nor the ticket.
func TestWays(t *testing.T) {
	good := gift(t).Ways[0].String()
	for _, c := range []struct {
		list     string
		n        int
		problems int
	}{
		{`["` + good + `"]`, 1, 0},
		{`["nobody@203.0.113.7:4717", "` + good + `", "` + string(someBox(t)) + `", 7]`, 1, 3},
		{`["` + string(someBox(t)) + `@[fe80::1%eth0]:4717", "` + string(someBox(t)) + `@203.0.113.7:0"]`, 0, 2},
		{`"` + good + `"`, 0, 1},
		{`["` + strings.Repeat(good+`", "`, MaxWays) + good + `"]`, MaxWays, 1},
	} {
		s, problems := ParseRedhen([]byte("house = \"Mill Lane\"\nways = " + c.list + "\n"))
		if len(s.Ways) != c.n || len(problems) != c.problems || s.House == "" {
			t.Errorf("%s: %v, %v", c.list, s.Ways, problems)
		}
	}
	older := gift(t)
	if got := (Seed{Ticket: "another"}).Over(older); len(got.Ways) != 0 {
		t.Errorf("another ticket has the ways of the old one: %v", got.Ways)
	}
}

func TestWifiKeys(t *testing.T) {
	for in, want := range map[string]Wifi{
		"":                      {},
		"eight888":              {Passphrase: "eight888"},
		strings.Repeat("x", 63): {Passphrase: Secret(strings.Repeat("x", 63))},
		"Füße-Füße":             {Passphrase: "Füße-Füße"},
		pmk:                     {PMK: Secret(strings.ToLower(pmk))},
	} {
		var w Wifi
		if wrong := w.setKey(in); wrong != "" || w != want {
			t.Errorf("%q: %v, %s", in, w == want, wrong)
		}
	}
	for _, in := range []string{"short", strings.Repeat("x", 64), "tab\tabcdefg", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if wrong := new(Wifi).setKey(in); wrong == "" {
			t.Errorf("%q accepted", in)
		}
	}
}

func TestNewWifi(t *testing.T) {
	if w, wrong := NewWifi("Attic", "eight888", "gb"); wrong != "" || w != (Wifi{SSID: "Attic", Passphrase: "eight888", Country: "GB"}) {
		t.Errorf("got %q %q, %s", w.SSID, w.Country, wrong)
	}
	for _, c := range [][3]string{{"", "eight888", ""}, {"Attic", "short", ""}, {"Attic", "", "Germany"}} {
		if w, wrong := NewWifi(c[0], c[1], c[2]); wrong == "" || w != (Wifi{}) {
			t.Errorf("%q accepted", c)
		}
	}
}

// The box's own network has a name that only its password decides, and a password that
// every phone can type.
func TestSetupNetwork(t *testing.T) {
	a := Seed{Setup: NewSetup()}
	if _, wrong := checkSetup(string(a.Setup)); wrong != "" || a.Setup == NewSetup() {
		t.Errorf("drawn %q: %s", string(a.Setup), wrong)
	}
	if got := (Seed{Setup: "hens23cluck"}).SetupName(); got != "redhen-B9A7" && len(got) != len("redhen-B9A7") {
		t.Errorf("name %q", got)
	}
	if a.SetupName() != (Seed{Setup: a.Setup, House: "x"}).SetupName() {
		t.Error("the name hangs on more than the password")
	}
	for _, bad := range []string{"", "short", "ümlaut ümlaut", strings.Repeat("a", 64)} {
		s, problems := ParseRedhen([]byte("version = 1\nsetup_password = \"" + bad + "\"\n"))
		if s.Setup != "" || bad != "" && len(problems) == 0 {
			t.Errorf("%q taken", bad)
		}
	}
}

func TestClaimCode(t *testing.T) {
	s := Seed{ClaimHash: HashClaim("7Q4-K2M")}
	for code, want := range map[string]bool{"7Q4-K2M": true, " 7q4k2m\n": true, "7Q4K2N": false, "": false} {
		if s.Claims(code) != want {
			t.Errorf("%q: got %v", code, !want)
		}
	}
	if (Seed{}).Claims("") || HashClaim(" - ") != "" {
		t.Error("a seed without a code is claimed")
	}
}

func TestOver(t *testing.T) {
	older := Seed{House: "Old", Keeper: "ann", Country: "DE", Ticket: "T", Wifi: []Wifi{{SSID: "a", Passphrase: "old password"}, {SSID: "b"}}, Reset: Reset{Wanted: true}}
	newer := Seed{House: "New", Wifi: []Wifi{{SSID: "c"}, {SSID: "a", Passphrase: "new password"}}}
	want := Seed{House: "New", Keeper: "ann", Country: "DE", Ticket: "T", Wifi: []Wifi{{SSID: "c"}, {SSID: "a", Passphrase: "new password"}, {SSID: "b"}}, Reset: Reset{Wanted: true}}
	if got := newer.Over(older); !got.Equal(want) {
		t.Errorf("got\n%s", Render(got))
	}
	if len(newer.Wifi) != 2 || len(older.Wifi) != 2 {
		t.Error("an argument changed")
	}
}

// one is a network-config with one access point.
func one(ap string) string {
	return "network:\n  wifis:\n    wlan0:\n      access-points:\n        " + strings.ReplaceAll(ap, "\n", "\n        ")
}

func TestNetworkConfig(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Wifi
		lost bool
	}{
		{one("\"Caf\\xC3\\xA9\":\n  password: \"passw\\\"ord\""), []Wifi{{SSID: "Café", Passphrase: `passw"ord`}}, false},
		{one("\"\\xff\\x00\": {password: '" + pmk + "'}"), []Wifi{{SSID: "\xff\x00", PMK: Secret(strings.ToLower(pmk))}}, false},
		{one("Café: {password: passwörter}"), []Wifi{{SSID: "Café", Passphrase: "passwörter"}}, false},
		{one("yes: {password: 12345678}\n12: {hidden: true}"), []Wifi{{SSID: "yes", Passphrase: "12345678"}, {SSID: "12", Hidden: true}}, false},
		{one("null:"), []Wifi{{SSID: "null"}}, false},
		{one("a: {auth: {key-management: psk, password: password}}"), []Wifi{{SSID: "a", Passphrase: "password"}}, false},
		{one("work: {auth: {key-management: eap, identity: me, password: password}}"), nil, true},
		{one("a: {password: short}\nb: {}"), []Wifi{{SSID: "b"}}, true},
		{one(strings.Repeat("x", 33) + ": {}"), nil, true},
		{"network: {config: disabled}", nil, false},
		{"version: 1\nconfig: [{type: physical, name: eth0}]", nil, false},
		{"- a\n- b", nil, true},
		{"&a [*a]", nil, true},
		{"# nothing\n", nil, false},
	} {
		s, problems := ParseNetworkConfig([]byte(c.in))
		if diff := cmp.Diff(c.want, s.Wifi); diff != "" {
			t.Errorf("%s: %s", c.in, diff)
		}
		if lost := len(problems) > 0; lost != c.lost {
			t.Errorf("%s: problems %v", c.in, problems)
		}
	}
}

func TestUserAndMetaData(t *testing.T) {
	s, problems := ParseUserData([]byte("#cloud-config\nfqdn: mill.example.org\nusers: [default, {name: Ann}, {name: ben}]\ntimezone: UTC\nwifi: {}\n"))
	if want := (Seed{Box: "mill", Keeper: "ann", TimeZone: "UTC"}); !s.Equal(want) || len(problems) != 0 {
		t.Errorf("got %v, %v", s, problems)
	}
	if s, _ = ParseMetaData([]byte("instance-id: x\nlocal-hostname: oak\n")); s.Box != "oak" {
		t.Errorf("got %v", s)
	}
	if s, problems = ParseUserData([]byte("#!/bin/sh\nhostname foo\n")); !s.IsZero() || len(problems) != 1 {
		t.Errorf("a script: %v, %v", s, problems)
	}
}

func TestPreseed(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Seed
		lost bool
	}{
		{"[wlan]\ncountry = \"gb\"", Seed{Country: "GB"}, false},
		{"[wlan]\nssid = \"o\"", Seed{Wifi: []Wifi{{SSID: "o"}}}, false},
		{"[wlan]\nssid_hex = \"ff41\"\nhidden = true", Seed{Wifi: []Wifi{{SSID: "\xffA", Hidden: true}}}, false},
		{"[wlan]\nssid_hex = \"zz\"", Seed{}, true},
		{"[wlan]\nssid = \"n\"\npassword = 12345678", Seed{}, true},
		{"[wlan]\nssid = \"n\"\npassword = \"" + pmk + "\"\nkey_mgmt = \"sae\"", Seed{Wifi: []Wifi{{SSID: "n", PMK: Secret(strings.ToLower(pmk))}}}, true},
		{"system = 3\nwlan = []", Seed{}, true},
		{"config_version = \"2.0\"\n[system]\nhostname = \"x\"", Seed{Box: "x"}, false},
	} {
		s, problems := ParsePreseed([]byte(c.in))
		lost := false
		for _, p := range problems {
			lost = lost || p.Broken
		}
		if !s.Equal(c.want) || lost != c.lost {
			t.Errorf("%s: got\n%s\n%v", c.in, Render(s), problems)
		}
	}
}

func TestFirstRun(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Seed
		lost bool
	}{
		{`/usr/lib/raspberrypi-sys-mods/imager_custom set_wlan 'it'"'"'s' 'passw ord' 'gb'`, Seed{Country: "GB", Wifi: []Wifi{{SSID: "it's", Passphrase: "passw ord", Country: "GB"}}}, false},
		{`imager_custom set_wlan -h -p a\ b '' ''`, Seed{Wifi: []Wifi{{SSID: "a b", Hidden: true}}}, false},
		{`imager_custom set_wlan 'a`, Seed{}, true},
		{`imager_custom set_wlan a short GB`, Seed{Country: "GB"}, true},
		{`# imager_custom set_wlan a password GB`, Seed{}, false},
		{"cat >/etc/wpa_supplicant/wpa_supplicant.conf <<'WPAEOF'\ncountry=NZ\nnetwork={\n\tscan_ssid=1\n\tssid=\"a\\\"b\\\\\"\n\tpsk=\"pass=word\"\n}\nWPAEOF\nimager_custom set_hostname ash.local",
			Seed{Box: "ash", Country: "NZ", Wifi: []Wifi{{SSID: `a"b\`, Passphrase: "pass=word", Hidden: true, Country: "NZ"}}}, false},
		{"cat >f <<EOF\nimager_custom set_hostname no", Seed{}, false},
		{"imager_custom set_wlan\nimager_custom\nuserconf", Seed{}, false},
	} {
		s, problems := ParseFirstRun([]byte(c.in))
		if !s.Equal(c.want) || (len(problems) > 0) != c.lost {
			t.Errorf("%s: got\n%s\n%v", c.in, Render(s), problems)
		}
	}
}

func TestTextFiles(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []Wifi
		lost bool
	}{
		{"Upstairs\npassword 1\n", []Wifi{{SSID: "Upstairs", Passphrase: "password 1"}}, false},
		{"\n  Upstairs  \n", []Wifi{{SSID: "Upstairs"}}, false},
		{"SSID=a\nKey='12345678'\nhidden=1", []Wifi{{SSID: "a", Passphrase: "12345678", Hidden: true}}, false},
		{"password: password\nname: a", []Wifi{{SSID: "a", Passphrase: "password"}}, false},
		{"password: password\nname: a\npassword: passwords\nname: b", nil, true},
		{"name: a\npassword: short\nname: b", []Wifi{{SSID: "b"}}, true},
		{"name: a\ncolour: red", []Wifi{{SSID: "a"}}, true},
		{"password: password", nil, true},
		{"# only\n", nil, true},
	} {
		s, problems := ParseWifiText([]byte(c.in))
		if diff := cmp.Diff(c.want, s.Wifi); diff != "" || (len(problems) > 0) != c.lost {
			t.Errorf("%q: %s %v", c.in, diff, problems)
		}
	}
	for in, want := range map[string]Secret{"": "", "please": "", "password: long enough": "long enough", "password: short": ""} {
		if s, _ := ParseResetText([]byte(in)); !s.Reset.Wanted || s.Reset.Password != want {
			t.Errorf("%q: got %v", in, s.Reset.Password == want)
		}
	}
}

func TestWindowsText(t *testing.T) {
	for _, in := range []string{
		"\xef\xbb\xbfUp\r\npassword\r\n", "\xff\xfeU\x00p\x00\n\x00p\x00a\x00s\x00s\x00w\x00o\x00r\x00d\x00", "\xfe\xff\x00U\x00p\x00\n\x00p\x00a\x00s\x00s\x00w\x00o\x00r\x00d",
		"Up\npassword\n\x00\x00\x00",
	} {
		if s, problems := ParseWifiText([]byte(in)); len(s.Wifi) != 1 || s.Wifi[0] != (Wifi{SSID: "Up", Passphrase: "password"}) {
			t.Errorf("%q: %v %v", in, s, problems)
		}
	}
}

func TestRedhenTOMLIsForgiving(t *testing.T) {
	s, problems := ParseRedhen([]byte("version = 9\nhouse = 7\nbox = \"ok\"\nticket = \"half a tick\"\nwifi = [{ssid = \"a\"}, 3]\ncolour = \"red\"\n"))
	if want := (Seed{Box: "ok", Wifi: []Wifi{{SSID: "a"}}}); !s.Equal(want) {
		t.Errorf("got\n%s", Render(s))
	}
	var broken, notes int
	for _, p := range problems {
		if p.Broken {
			broken++
		} else {
			notes++
		}
	}
	if broken < 3 || notes != 2 {
		t.Errorf("got %v", problems)
	}
	if _, problems = ParseRedhen([]byte("a = 1\nb = \n")); len(problems) != 1 || problems[0].Line != 2 {
		t.Errorf("got %v", problems)
	}
}

// Each of these once kept a decoder busy for seconds or minutes.
func TestNonsenseIsRefusedAtOnce(t *testing.T) {
	start := time.Now()
	for _, in := range []string{
		strings.Repeat("a={", MaxFile/3), "a=" + strings.Repeat("[", MaxFile-2), strings.Repeat("a.", MaxFile/2-2) + "a=1",
	} {
		if s, problems := ParseRedhen([]byte(in)); !s.IsZero() || len(problems) != 1 || problems[0].Line != 1 {
			t.Errorf("%.10s: %v, %v", in, s, problems)
		}
	}
	ParseNetworkConfig([]byte("wifis:\n w:\n  access-points:\n" + strings.Repeat("   \"\\x41\": {}\n", MaxFile/16)))
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	ruler := "# " + strings.Repeat(".", 200) + "[[[[\nhouse = \"Mill\"\n"
	if s, problems := ParseRedhen([]byte(ruler)); s.House != "Mill" || len(problems) != 0 {
		t.Errorf("a ruler: %v, %v", s, problems)
	}
}

func TestManifest(t *testing.T) {
	img := Image{
		Version: "1.2", House: "Mill Lane", URL: "https://example.org/redhen.img.xz", Size: 10, SHA256: [32]byte{1}, DownloadSize: 5,
		DownloadSHA256: [32]byte{2}, Released: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC),
	}
	b, err := Manifest(img)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Imager struct{ Devices []struct{ Tags []string } }
		List   []map[string]any `json:"os_list"`
	}
	if err := json.Unmarshal(b, &m); err != nil || len(m.List) != 1 || len(m.Imager.Devices) != 4 {
		t.Fatalf("%v: %s", err, b)
	}
	for _, key := range []string{ // required by Imager's schema, with init_format and devices
		"name", "description", "icon", "url", "extract_size", "extract_sha256", "image_download_size", "release_date", "devices",
	} {
		if _, ok := m.List[0][key]; !ok {
			t.Errorf("no %s", key)
		}
	}
	if m.List[0]["init_format"] != "cloudinit" || m.List[0]["release_date"] != "2026-11-03" {
		t.Errorf("got %v", m.List[0])
	}
	for _, bad := range []func(*Image){func(i *Image) { i.URL = "javascript:x" }, func(i *Image) { i.Size = 0 }, func(i *Image) { i.SHA256 = [32]byte{} }} {
		broken := img
		bad(&broken)
		if _, err := Manifest(broken); err == nil {
			t.Errorf("accepted: %+v", broken)
		}
	}
	if got, want := ImagerLink("https://x.org/a.json?b=c"), "rpi-imager://open?repo=https%3A%2F%2Fx.org%2Fa.json%3Fb%3Dc"; got != want {
		t.Errorf("got %s", got)
	}
	read, err := ReadManifest(b)
	if want := img; err != nil || read.URL != want.URL || read.SHA256 != want.SHA256 || read.DownloadSHA256 != want.DownloadSHA256 || read.Size != want.Size || read.Version != want.Version {
		t.Errorf("read again: %+v, %v", read, err)
	}
	for _, bad := range []string{"", "[]", `{"os_list":[]}`, strings.Replace(string(b), "Version ", "", 1), strings.Replace(string(b), "https:", "ftp:", 1)} {
		if _, err := ReadManifest([]byte(bad)); err == nil {
			t.Errorf("%.40q is taken", bad)
		}
	}
}
