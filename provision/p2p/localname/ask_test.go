package localname

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// answer is what a box at this address says of a name.
func answer(t testing.TB, id uint16, name string, response bool) []byte {
	t.Helper()
	n := dnsmessage.MustNewName(name)
	msg := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: response},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
		Answers:   []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{192, 168, 1, 41}}}},
	}
	b, err := msg.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswered(t *testing.T) {
	good := answer(t, 7, "redhen-new.local.", true)
	if a, ok := answered(good, 7, Fresh); !ok || a != netip.MustParseAddr("192.168.1.41") {
		t.Errorf("got %v", a)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "cut": good[:len(good)-2], "of another question": answer(t, 8, "redhen-new.local.", true),
		"of another name": answer(t, 7, "redhen.local.", true), "a question": answer(t, 7, "redhen-new.local.", false),
	} {
		if a, ok := answered(b, 7, Fresh); ok {
			t.Errorf("%s: got %v", name, a)
		}
	}
}

// TestAskHearsNamesWhereThereIsMulticast: who answers to the name is found, and nobody
// else; elsewhere it fails in peace.
func TestAskHearsNamesWhereThereIsMulticast(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := New(nil, Fresh)
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	defer func() { cancel(); <-done }()
	ask := func(label string) []netip.Addr {
		short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		defer stop()
		heard, err := Ask(short, label)
		if err != nil {
			t.Skip("no multicast here: ", err)
		}
		return heard
	}
	for range 10 {
		if len(ask(Fresh)) > 0 {
			if heard := ask("nobody-has-this-name"); len(heard) > 0 {
				t.Errorf("%v answer to a name that nobody has", heard)
			}
			return
		}
	}
	t.Skip("no answer; multicast is not carried here")
}

func FuzzAnswered(f *testing.F) {
	f.Add(answer(f, 7, "redhen-new.local.", true), uint16(7))
	f.Fuzz(func(t *testing.T, b []byte, id uint16) {
		if a, ok := answered(b, id, Fresh); ok && !a.Is4() {
			t.Errorf("%v", a)
		}
	})
}
