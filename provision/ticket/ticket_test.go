package ticket

import (
	"bytes"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
)

func boxOf(n byte) ident.BoxID {
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		panic(err)
	}
	return k.BoxID()
}

func secretOf(n byte) Secret { return Secret(bytes.Repeat([]byte{n}, 16)) }

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func addrs(list ...string) (as []netip.AddrPort) {
	for _, s := range list {
		as = append(as, addr(s))
	}
	return as
}

func made(t testing.TB, addrs []netip.AddrPort, relay *Relay) Ticket {
	t.Helper()
	tk, err := New(boxOf(1), secretOf(9), addrs, relay)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

var same = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func example(t testing.TB) Ticket {
	return made(t, addrs("192.168.1.40:4717", "203.0.113.7:4717"), &Relay{boxOf(2), addr("198.51.100.9:4717")})
}

// Tickets are printed on cards and outlive a version.
func TestGoldenTicket(t *testing.T) {
	tk := example(t)
	want := "01" + // version
		hex.EncodeToString(boxOf(1).PublicKey()) +
		strings.Repeat("09", 16) +
		"04" + "c0a80128" + "126d" +
		"04" + "cb007107" + "126d" +
		"14" + hex.EncodeToString(boxOf(2).PublicKey()) + "c6336409" + "126d" +
		"8ab0021f" // CRC-32C
	if d := cmp.Diff(want, hex.EncodeToString(tk.encode())); d != "" {
		t.Error(d)
	}
	if got, want := tk.ID(), "05c1eae3edcb9fb66b07b6f4d93fd920"; got != want {
		t.Errorf("got ID %s, want %s", got, want)
	}
	if got, want := tk.Text(), "AGFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYCIJBEEQSCIJBEEQSCIJBEEQSCIEYCUACKASNUCMWADRA4JG2FEBHF3Q5KD5C5PVNI2UM3BUY7WMZOGYVENU5Y32EXPWB5NY7SNTSTDDGZAJCJWYVMACD4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARoundTrip(t *testing.T) {
	relay4, relay6 := &Relay{boxOf(2), addr("198.51.100.9:4717")}, &Relay{boxOf(2), addr("[2001:db8::9]:1")}
	for name, tk := range map[string]Ticket{
		"one IPv4":          made(t, addrs("10.0.0.1:1"), nil),
		"one IPv6":          made(t, addrs("[2001:db8::1]:65535"), nil),
		"three":             made(t, addrs("10.0.0.1:1", "[2001:db8::1]:2", "127.0.0.1:3"), nil),
		"relay only":        made(t, nil, relay4),
		"relay only, IPv6":  made(t, nil, relay6),
		"three and a relay": made(t, addrs("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"), relay6),
	} {
		for form, s := range map[string]string{
			"text": tk.Text(), "link": tk.Link(), "lower case": strings.ToLower(tk.Link()), "https": "https://box.example/p#" + tk.Text(),
			"spaces": " " + strings.Join(strings.SplitAfter(tk.Text(), "A"), " \r\n\t") + "\n", "hyphens": strings.Join(strings.SplitAfter(tk.Text(), "B"), "-–\u200b"),
			"look-alikes": strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(tk.Text()),
		} {
			got, err := Parse(s)
			if err != nil {
				t.Fatalf("%s as %s: %v", name, form, err)
			}
			if d := cmp.Diff(tk, got, same); d != "" {
				t.Errorf("%s as %s: %s", name, form, d)
			}
		}
		if n := len(tk.encode()); n > MaxSize || n != tk.size() {
			t.Errorf("%s: %d bytes, said %d", name, n, tk.size())
		}
	}
}

func TestNewLeavesOut(t *testing.T) {
	v6 := func(n int) netip.AddrPort { return addr(fmt.Sprintf("[2001:db8::%d]:4717", n)) }
	v4 := func(n int) netip.AddrPort { return addr(fmt.Sprintf("192.0.2.%d:4717", n)) }
	relay4, relay6 := &Relay{boxOf(2), v4(99)}, &Relay{boxOf(2), v6(99)}
	for name, tt := range map[string]struct {
		give  []netip.AddrPort
		relay *Relay
		want  []netip.AddrPort
	}{
		"the fourth":                   {[]netip.AddrPort{v4(1), v4(2), v4(3), v4(4)}, nil, []netip.AddrPort{v4(1), v4(2), v4(3)}},
		"what comes twice":             {[]netip.AddrPort{v4(1), addr("[::ffff:192.0.2.1]:4717"), v4(2)}, nil, []netip.AddrPort{v4(1), v4(2)}},
		"nothing: three long ones":     {[]netip.AddrPort{v6(1), v6(2), v6(3)}, nil, []netip.AddrPort{v6(1), v6(2), v6(3)}},
		"nothing: full to the brim":    {[]netip.AddrPort{v6(1), v4(1), v4(2)}, relay4, []netip.AddrPort{v6(1), v4(1), v4(2)}},
		"the long ones by a relay":     {[]netip.AddrPort{v6(1), v6(2), v4(1), v4(2)}, relay4, []netip.AddrPort{v6(1), v4(1), v4(2)}},
		"all but one by a long relay":  {[]netip.AddrPort{v6(1), v4(1), v6(2)}, relay6, []netip.AddrPort{v6(1)}},
		"nothing: short by long relay": {[]netip.AddrPort{v4(1), v4(2), v4(3)}, relay6, []netip.AddrPort{v4(1), v4(2), v4(3)}},
		"what nobody can dial": {append(addrs("0.0.0.0:1", "[::]:1", "224.0.0.1:1", "[ff02::1]:1", "[fe80::1%eth0]:1", "255.255.255.255:1", "10.0.0.1:0"),
			netip.AddrPort{}, v4(1)), nil, []netip.AddrPort{v4(1)}},
	} {
		got := made(t, tt.give, tt.relay)
		if !slices.Equal(got.Addrs, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got.Addrs, tt.want)
		}
		if (got.Relay == nil) != (tt.relay == nil) {
			t.Errorf("%s: the relay was lost", name)
		}
		if len(got.encode()) > MaxSize || len(got.Text()) > 200 {
			t.Errorf("%s: %d bytes", name, len(got.encode()))
		}
	}
}

// Whatever is put in, the ticket is small, keeps the relay and at least one
// address, and can be read again.
func TestEveryTicketFits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	randomAddr := func() netip.AddrPort {
		b := make([]byte, 4+12*r.IntN(2))
		for i := range b {
			b[i] = byte(r.UintN(256))
		}
		ip, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(ip, uint16(r.UintN(1<<16)))
	}
	for range 3000 {
		var list []netip.AddrPort
		for range r.IntN(6) {
			list = append(list, randomAddr())
		}
		var relay *Relay
		if a := plain(randomAddr()); r.IntN(2) == 0 && dialable(a) {
			relay = &Relay{boxOf(3), a}
		}
		tk, err := New(boxOf(1), secretOf(byte(1+r.IntN(255))), list, relay)
		usable := slices.ContainsFunc(list, func(a netip.AddrPort) bool { return dialable(plain(a)) })
		if (err == nil) != (usable || relay != nil) {
			t.Fatalf("%v, %v: %v", list, relay, err)
		}
		if err != nil {
			continue
		}
		if n := len(tk.encode()); n > MaxSize || (tk.Relay == nil) != (relay == nil) || (len(tk.Addrs) > 0) != usable {
			t.Fatalf("%v of %v, %v: %d bytes", tk.Addrs, list, relay, n)
		}
		got, err := Parse(tk.Text())
		if d := cmp.Diff(tk, got, same); err != nil || d != "" {
			t.Fatal(err, d)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	ok := addrs("10.0.0.1:1")
	for name, err := range map[string]error{
		"no inviter":             second(New("", secretOf(1), ok, nil)),
		"a bad inviter":          second(New("12D3", secretOf(1), ok, nil)),
		"no secret":              second(New(boxOf(1), Secret{}, ok, nil)),
		"no address":             second(New(boxOf(1), secretOf(1), nil, nil)),
		"no usable address":      second(New(boxOf(1), secretOf(1), addrs("0.0.0.0:1"), nil)),
		"a relay without a box":  second(New(boxOf(1), secretOf(1), ok, &Relay{Addr: ok[0]})),
		"a relay without a port": second(New(boxOf(1), secretOf(1), ok, &Relay{boxOf(2), addr("10.0.0.1:0")})),
		"its own relay":          second(New(boxOf(1), secretOf(1), ok, &Relay{boxOf(1), ok[0]})),
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func second[A any](_ A, err error) error { return err }

// sealed gives bytes a right checksum, as a clever forger would.
func sealed(b []byte) string {
	sum := checksum(b)
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(b, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)))
}

func TestParseRefuses(t *testing.T) {
	tk := example(t)
	whole := tk.encode()
	body := whole[:len(whole)-crcSize]
	head := body[:headSize]
	v4 := []byte{markIPv4, 10, 0, 0, 1, 0, 1}
	for name, tt := range map[string]struct {
		s    string
		want error
	}{
		"nothing":                {"", ErrNoTicket},
		"a word":                 {"hello", ErrNoTicket},
		"a link without ticket":  {"http://redhen.local/p#", ErrNoTicket},
		"another link":           {"https://example.org/index.html", ErrNoTicket},
		"a Wi-Fi code":           {"WIFI:S:mill;T:WPA;P:secret;;", ErrNoTicket},
		"a novel":                {strings.Repeat("AE", maxInput), ErrNoTicket},
		"half of it":             {tk.Text()[:80], ErrIncomplete},
		"the last one missing":   {tk.Text()[:len(tk.Text())-1], ErrIncomplete},
		"one too many":           {tk.Text() + "A", ErrIncomplete},
		"a stray sign":           {tk.Text()[:50] + "*" + tk.Text()[51:], ErrIncomplete},
		"two swapped":            {swap(tk.Text()), ErrIncomplete},
		"a newer version":        {sealed(slices.Concat([]byte{2}, body[1:])), ErrVersion},
		"a much newer version":   {sealed(slices.Concat([]byte{2}, body[1:], make([]byte, 60))), ErrVersion},
		"no address":             {sealed(slices.Clone(head)), ErrNoTicket},
		"an unknown mark":        {sealed(slices.Concat(head, v4, []byte{7, 1, 2})), ErrNoTicket},
		"a cut address":          {sealed(slices.Concat(head, v4, v4[:3])), ErrNoTicket},
		"an address twice":       {sealed(slices.Concat(head, v4, v4)), ErrNoTicket},
		"an address after relay": {sealed(slices.Concat(body, v4)), ErrNoTicket},
		"no port":                {sealed(slices.Concat(head, []byte{markIPv4, 10, 0, 0, 1, 0, 0})), ErrNoTicket},
		"IPv4 as IPv6":           {sealed(slices.Concat(head, []byte{markIPv6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1, 0, 1})), ErrNoTicket},
		"no secret":              {sealed(slices.Concat(head[:33], make([]byte, 16), v4)), ErrNoTicket},
		"too long":               {sealed(slices.Concat(body, make([]byte, MaxSize))), ErrNoTicket},
	} {
		if got, err := Parse(tt.s); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, tt.want)
		}
	}
}

func swap(s string) string {
	for i := 20; ; i++ {
		if s[i] != s[i+1] {
			return s[:i] + s[i+1:i+2] + s[i:i+1] + s[i+2:]
		}
	}
}

// Any one wrong letter is noticed.
func TestAMistypedLetterIsNoticed(t *testing.T) {
	text := example(t).Text()
	for i := range text {
		for _, c := range alphabet {
			wrong := text[:i] + string(c) + text[i+1:]
			if got, err := Parse(wrong); wrong != text && err == nil {
				t.Fatalf("letter %d as %c: %+v", i, c, got)
			}
		}
		for _, cut := range []string{text[:i], text[i:], text[:i] + text[i+1:]} {
			if _, err := Parse(cut); cut != text && err == nil {
				t.Fatalf("cut at %d: accepted", i)
			}
		}
	}
}

func TestATicketDoesNotPrintItsSecret(t *testing.T) {
	tk := example(t)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "ticket", tk, "secret", tk.Secret)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "ticket", tk)
	out := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		out += fmt.Sprintf(verb+verb, tk, tk.Secret)
		out += fmt.Sprintf(verb, &tk)
	}
	for _, secret := range []string{"0909", "9 9", "9, 9", "0x9, 0x9", tk.Text()[60:70]} {
		if strings.Contains(out, secret) {
			t.Errorf("the secret is printed: %s", out)
		}
	}
	if !strings.Contains(out, tk.ID()) {
		t.Error("the ID is not printed")
	}
}

func TestTheIDIsOfInviterAndSecret(t *testing.T) {
	a := example(t)
	b := made(t, addrs("10.9.9.9:9"), nil)
	if a.ID() != b.ID() {
		t.Error("another address, another ID")
	}
	other, err := New(boxOf(1), secretOf(8), a.Addrs, nil)
	if err != nil || other.ID() == a.ID() {
		t.Error("another secret, the same ID", err)
	}
	other, err = New(boxOf(2), secretOf(9), a.Addrs, nil)
	if err != nil || other.ID() == a.ID() {
		t.Error("another inviter, the same ID", err)
	}
	if one, two := NewSecret(), NewSecret(); one == two {
		t.Error("a secret drawn twice")
	}
}

func FuzzParse(f *testing.F) {
	tk := example(f)
	f.Add(tk.Text())
	f.Add(strings.ToLower(tk.Link()))
	f.Add(made(f, addrs("[2001:db8::1]:1"), nil).Text())
	f.Fuzz(func(t *testing.T, s string) {
		checkParsed(t, s)
	})
}

// FuzzDecode gets past the checksum.
func FuzzDecode(f *testing.F) {
	whole := example(f).encode()
	f.Add(whole[:len(whole)-crcSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		checkParsed(t, sealed(slices.Clone(b)))
	})
}

func checkParsed(t *testing.T, s string) {
	tk, err := Parse(s)
	if err != nil {
		return
	}
	again, err := Parse(tk.Link())
	if d := cmp.Diff(tk, again, same); err != nil || d != "" {
		t.Errorf("%q: %v %s", s, err, d)
	}
	if n := len(tk.encode()); n > MaxSize {
		t.Errorf("%q: %d bytes", s, n)
	}
}
