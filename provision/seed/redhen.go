package seed

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Version is the version of redhen.toml that Render writes. A file that says a
// higher one is read as far as it is understood.
const Version = 1

// Render returns the seed as a redhen.toml, secrets included. Parsing it gives an
// equal seed.
func Render(s Seed) []byte { return render(record{Seed: s}) }

// ParseRedhen reads a redhen.toml.
func ParseRedhen(content []byte) (Seed, []Problem) {
	return parse(redhenFile, content, func(b []byte, p *problems) Seed { return readRecord(b, p).Seed })
}

// redhenFile is our own format.
const redhenFile = "redhen.toml"

// record is what lies on the data side: the seed, and the SHA-256 of each file
// that was taken over but could not be wiped.
type record struct {
	Seed
	seen map[string]string
}

// outline is redhen.toml in the order in which it is written.
type outline struct {
	Version  int               `toml:"version"`
	Circle   string            `toml:"circle,omitempty"`
	House    string            `toml:"house,omitempty"`
	Box      string            `toml:"box,omitempty"`
	Keeper   string            `toml:"keeper,omitempty"`
	Password string            `toml:"password,omitempty"`
	Ticket   string            `toml:"ticket,omitempty"`
	Ways     []string          `toml:"ways,omitempty"`
	Claim    string            `toml:"claim_hash,omitempty"`
	TimeZone string            `toml:"time_zone,omitempty"`
	Country  string            `toml:"country,omitempty"`
	Setup    string            `toml:"setup_password,omitempty"`
	Wifi     []wifiOutline     `toml:"wifi,omitempty"`
	Reset    map[string]any    `toml:"reset,omitempty"`
	Seen     map[string]string `toml:"seen,omitempty"`
}

type wifiOutline struct {
	SSID       string `toml:"ssid,omitempty"`
	SSIDHex    string `toml:"ssid_hex,omitempty"`
	Passphrase string `toml:"passphrase,omitempty"`
	PMK        string `toml:"pmk,omitempty"`
	Hidden     bool   `toml:"hidden,omitempty"`
	Country    string `toml:"country,omitempty"`
}

func render(r record) []byte {
	o := outline{
		Version: Version, Circle: r.Circle, House: r.House, Box: r.Box, Keeper: r.Keeper, Password: string(r.Password), Ticket: string(r.Ticket),
		Claim: r.ClaimHash, TimeZone: r.TimeZone, Country: r.Country, Setup: string(r.Setup), Seen: r.seen,
	}
	for _, w := range r.Ways {
		o.Ways = append(o.Ways, w.String())
	}
	for _, w := range r.Wifi {
		t := wifiOutline{SSID: w.SSID, Passphrase: string(w.Passphrase), PMK: string(w.PMK), Hidden: w.Hidden, Country: w.Country}
		if !utf8.ValidString(w.SSID) {
			t.SSID, t.SSIDHex = "", hex.EncodeToString([]byte(w.SSID))
		}
		o.Wifi = append(o.Wifi, t)
	}
	if r.Reset.Wanted {
		o.Reset = map[string]any{"wanted": true}
		if r.Reset.Password != "" {
			o.Reset["password"] = string(r.Reset.Password)
		}
	}
	var b bytes.Buffer
	b.WriteString("# Settings of a redhen box, read when it starts. Lines that begin with # mean nothing.\n")
	e := toml.NewEncoder(&b)
	e.Indent = ""
	if err := e.Encode(o); err != nil {
		panic(fmt.Sprintf("seed: %v", err)) // outline holds nothing that TOML cannot say
	}
	return b.Bytes()
}

func readRecord(b []byte, p *problems) (r record) {
	t, ok := openTOML(b, p)
	if !ok {
		return r
	}
	if v, ok := take[int64](t, "version"); ok && v > Version {
		p.note(Problem{Code: Newer})
	}
	t.text("circle", checkName, &r.Circle)
	t.text("house", checkName, &r.House)
	t.text("box", checkName, &r.Box)
	t.text("keeper", checkLogin, &r.Keeper)
	t.text("password", checkPassword, (*string)(&r.Password))
	t.text("ticket", checkTicket, (*string)(&r.Ticket))
	r.Ways = t.ways()
	t.text("claim_hash", checkClaim, &r.ClaimHash)
	t.text("time_zone", checkZone, &r.TimeZone)
	t.text("country", checkCountry, &r.Country)
	t.text("setup_password", checkSetup, (*string)(&r.Setup))
	for _, w := range t.tables("wifi") {
		if n, ok := readWifi(w, "passphrase"); ok {
			r.addWifi(n, p, 0)
		}
		w.rest()
	}
	if reset, ok := t.table("reset"); ok {
		reset.flag("wanted", &r.Reset.Wanted)
		reset.text("password", checkPassword, (*string)(&r.Reset.Password))
		reset.rest()
	}
	r.seen = t.readSeen()
	t.rest()
	return r
}

// readWifi reads a network of redhen.toml or of rpi-preseed.toml, which differ in
// the word for the password.
func readWifi(t *tomlTable, passphrase string) (w Wifi, ok bool) {
	t.text("ssid", checkSSID, &w.SSID)
	var raw string
	if t.text("ssid_hex", plainText, &raw); raw != "" {
		b, err := hex.DecodeString(raw)
		if s, wrong := checkSSID(string(b)); err != nil || wrong != "" {
			t.p.broken(Problem{Code: BadHex})
		} else {
			w.SSID = s
		}
	}
	ok = true
	for _, field := range []string{passphrase, "pmk"} {
		key, isText := take[string](t, field)
		if key == "" {
			ok = ok && isText // a key of the wrong kind does not make an open network
			continue
		}
		if wrong := w.setKey(key); wrong != "" {
			t.p.broken(Problem{Network: w.SSID, Code: wrong})
			ok = false
		}
	}
	t.flag("hidden", &w.Hidden)
	t.text("country", checkCountry, &w.Country)
	if w.SSID == "" {
		t.p.broken(Problem{Code: Nameless})
	}
	return w, ok && w.SSID != ""
}

// ways reads the list of ways. One that cannot be read costs none of the others.
func (t *tomlTable) ways() (all []Way) {
	list, _ := take[[]any](t, "ways")
	for i, x := range list {
		if i == MaxWays {
			t.p.broken(Problem{Field: t.name + "ways", Code: ManyWays, N: MaxWays})
			break
		}
		text, _ := x.(string)
		w, ok := parseWay(text)
		if !ok {
			t.p.broken(Problem{Field: t.name + "ways", Code: BadWay, N: i + 1})
			continue
		}
		all = append(all, w)
	}
	return all
}

func (t *tomlTable) readSeen() map[string]string {
	seen, ok := t.table("seen")
	if !ok {
		return nil
	}
	m := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(seen.m)) {
		var sum string
		if seen.text(name, checkClaim, &sum); sum != "" && len(m) < 2*len(sources()) {
			m[name] = sum
		}
	}
	return m
}

// tomlTable takes the keys out of a TOML table one by one, so that one bad key
// does not cost the rest.
type tomlTable struct {
	m    map[string]any
	name string // before its keys: "" at the top, "wifi."
	p    *problems
}

func openTOML(b []byte, p *problems) (*tomlTable, bool) {
	if line := tooDeep(b); line > 0 {
		p.broken(Problem{Line: line, Code: Nested})
		return nil, false
	}
	m := map[string]any{}
	if err := toml.Unmarshal(b, &m); err != nil {
		line := 0
		if e, ok := errors.AsType[toml.ParseError](err); ok {
			line = e.Position.Line
		}
		p.broken(Problem{Line: line, Code: BadLine})
		return nil, false
	}
	return &tomlTable{m: m, p: p}, true
}

// tooDeep returns the line where a file nests deeper than any settings file does, 0
// for none: on 64 KiB of opened braces the decoder would work for minutes. Comments
// apart it does not look at quotes: no honest value is full of brackets or dots either.
func tooDeep(b []byte) int {
	const deepest, dotted = 30, 80
	depth, n := 0, 0
	for line := range bytes.Lines(b) {
		n++
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#")) {
			continue
		}
		if bytes.Count(line, []byte(".")) > dotted {
			return n
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > deepest {
				return n
			}
		}
	}
	return 0
}

// take removes a key; ok says whether its value, if any, has the right type. A
// missing one is zero.
func take[T any](t *tomlTable, key string) (v T, ok bool) {
	x, there := t.m[key]
	delete(t.m, key)
	if !there {
		return v, true
	}
	if v, ok = x.(T); !ok {
		t.p.broken(Problem{Field: t.name + key, Code: BadKind})
	}
	return v, ok
}

// text reads a text by its rule. An empty text is like none.
func (t *tomlTable) text(key string, check func(string) (string, Code), to *string) bool {
	s, ok := take[string](t, key)
	if !ok || s == "" {
		return false
	}
	v, wrong := check(s)
	if wrong != "" {
		t.p.broken(Problem{Field: t.name + key, Code: wrong})
		return false
	}
	*to = v
	return true
}

func (t *tomlTable) flag(key string, to *bool) {
	if _, there := t.m[key]; there {
		*to, _ = take[bool](t, key)
	}
}

func (t *tomlTable) table(key string) (*tomlTable, bool) {
	m, _ := take[map[string]any](t, key)
	return &tomlTable{m: m, name: t.name + key + ".", p: t.p}, m != nil
}

// tables takes a list of tables, in any of the ways of writing one: [[key]],
// [key], key = [{…}].
func (t *tomlTable) tables(key string) (all []*tomlTable) {
	list, _ := t.m[key].([]map[string]any)
	switch x := t.m[key].(type) {
	case map[string]any:
		list = append(list, x)
	case []any:
		for _, e := range x {
			m, ok := e.(map[string]any)
			if !ok {
				t.p.broken(Problem{Field: t.name + key, Code: BadKind})
			}
			list = append(list, m)
		}
	case []map[string]any, nil:
	default:
		t.p.broken(Problem{Field: t.name + key, Code: BadKind})
	}
	delete(t.m, key)
	for _, m := range list[:min(len(list), MaxNetworks+1)] {
		all = append(all, &tomlTable{m: m, name: t.name + key + ".", p: t.p})
	}
	return all
}

// rest tells of keys that nobody took.
func (t *tomlTable) rest() {
	for _, key := range slices.Sorted(maps.Keys(t.m)) {
		t.p.note(Problem{Field: fmt.Sprintf("%s%.40s", t.name, key), Code: Unknown})
	}
}

func plainText(s string) (string, Code) {
	if len(s) > maxText {
		return "", TooLong
	}
	return s, ""
}
