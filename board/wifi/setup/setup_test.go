package setup

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/dns/dnsmessage"
)

func TestSettingsOfTheNetwork(t *testing.T) {
	b, err := settings("wlan0", "redhen-1A2B", "abcdefgh", "DE")
	for _, want := range []string{"interface=wlan0\n", "ssid2=72656468656e2d31413242\n", "wpa=2\n", "wpa_passphrase=abcdefgh\n", "country_code=DE\n"} {
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("no %q in %s, %v", want, b, err)
		}
	}
	if b, err = settings("wlan0", "redhen-1A2B", "", ""); err != nil || strings.Contains(string(b), "wpa") || strings.Contains(string(b), "country") {
		t.Errorf("open: %s, %v", b, err)
	}
	for _, bad := range []string{"short", strings.Repeat("x", 64), "abcdefgh\nwpa=0"} {
		if b, err := settings("wlan0", "x", bad, ""); err == nil {
			t.Errorf("%q taken: %s", bad, b)
		}
	}
}

// guest sends a message to the desk and returns what it answers.
func guest(t *testing.T, d *desk, last byte, with ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, last})}, with...)...)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := d.answer(m)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestAddressesAreGivenOut(t *testing.T) {
	d := &desk{box: netip.MustParseAddr(Address).AsSlice(), given: map[string]byte{}, next: first}
	discover, request := dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)
	offer := guest(t, d, 1, discover)
	if offer.MessageType() != dhcpv4.MessageTypeOffer || offer.YourIPAddr.String() != "192.168.77.10" || offer.Router()[0].String() != Address || offer.DNS()[0].String() != Address {
		t.Errorf("offer %s", offer.Summary())
	}
	wants := func(ip string) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(ip)))
	}
	if ack := guest(t, d, 1, request, wants("192.168.77.10")); ack.MessageType() != dhcpv4.MessageTypeAck || ack.IPAddressLeaseTime(0) != leaseTime {
		t.Errorf("ack %s", ack.Summary())
	}
	if ack := guest(t, d, 1, request, dhcpv4.WithClientIP(net.ParseIP("192.168.77.10"))); ack.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("renewal %s", ack.Summary())
	}
	if nak := guest(t, d, 2, request, wants("192.168.1.5")); nak.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("an address of another network: %s", nak.Summary())
	}
	if got := guest(t, d, 2, discover).YourIPAddr.String(); got != "192.168.77.11" {
		t.Errorf("the second guest got %s", got)
	}
	other := dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP("10.0.0.1")))
	if got := guest(t, d, 2, request, wants("192.168.77.11"), other); got != nil {
		t.Errorf("answered what was for another: %s", got.Summary())
	}
	if got := guest(t, d, 2, dhcpv4.WithMessageType(dhcpv4.MessageTypeRelease)); got != nil {
		t.Errorf("answered a good-bye: %s", got.Summary())
	}
	for i := range 300 {
		m := net.HardwareAddr{2, 0, 0, 1, byte(i >> 8), byte(i)}
		if ip := d.of(m); ip[3] < first || ip[3] > last {
			t.Fatalf("guest %d got %s", i, ip)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	m, _ := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover))
	f.Add(m.ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := dhcpv4.FromBytes(b); err == nil {
			(&desk{box: net.IP{10, 0, 0, 1}, given: map[string]byte{}, next: first}).answer(m) // it must not panic
		}
	})
}

// ask puts a question for a name.
func ask(t *testing.T, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("captive.apple.com."), Type: kind, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryNameIsTheBox(t *testing.T) {
	for kind, want := range map[dnsmessage.Type]int{dnsmessage.TypeA: 1, dnsmessage.TypeAAAA: 0, dnsmessage.TypeHTTPS: 0} {
		b, err := answerName(ask(t, kind))
		if err != nil {
			t.Fatal(err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil || m.ID != 7 || !m.Response || m.RCode != dnsmessage.RCodeSuccess || len(m.Answers) != want || len(m.Questions) != 1 {
			t.Fatalf("%v: %v, %v", kind, m, err)
		}
		if want == 1 {
			if a := m.Answers[0]; a.Header.TTL != 0 || netip.AddrFrom4(a.Body.(*dnsmessage.AResource).A).String() != Address {
				t.Errorf("answer %v", a)
			}
		}
	}
	answer, err := answerName(ask(t, dnsmessage.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, {1}, answer, make([]byte, 12)} {
		if b, err := answerName(bad); err == nil {
			t.Errorf("%x is answered with %x", bad, b)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) { answerName(b) }) // it must not panic
}
