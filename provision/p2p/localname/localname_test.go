package localname

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"
)

func TestHostLabel(t *testing.T) {
	for name, want := range map[string]string{
		"Oak Street":              "oak-street",
		"  mill--lane  ":          "mill-lane",
		"Bücher & Co.":            "b-cher-co",
		"火":                       "",
		"-":                       "",
		strings.Repeat("a b", 60): strings.Trim(strings.Repeat("a-b", 21), "-"),
	} {
		got := Label(name)
		if name[0] == 'a' {
			if len(got) > 63 || strings.HasSuffix(got, "-") {
				t.Errorf("%q: got %q", name, got)
			}
			continue
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestNamesKeepEachLabelOnce(t *testing.T) {
	n := New(nil, "Oak Street", Common, "oak street", "火")
	if got, want := n.Labels(), []string{"oak-street", "redhen"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Runs where the machine has multicast, and proves elsewhere that nothing fails.
func TestNamesAnswerWhereThereIsMulticast(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := New(nil, "Oak Street")
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	l, err := listenMulticast("udp4", mdns.DefaultAddressIPv4)
	if err != nil {
		t.Skip("no multicast here: ", err)
	}
	c, err := mdns.NewServer(ipv4.NewPacketConn(l), nil, mdns.WithLoggerFactory(silent{}), mdns.WithQueryInterval(200*time.Millisecond))
	if err != nil {
		l.Close()
		t.Skip("no multicast here: ", err)
	}
	defer c.Close()
	asking, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	_, addr, err := c.QueryAddr(asking, "oak-street.local")
	if err != nil {
		t.Skip("no answer; multicast is not carried here: ", err)
	}
	own, _ := net.InterfaceAddrs()
	if !slices.ContainsFunc(own, func(a net.Addr) bool { return strings.HasPrefix(a.String(), addr.WithZone("").String()+"/") }) {
		t.Errorf("oak-street.local is %v, not an address of this machine", addr)
	}
}
