package pair

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/roster"
	"redhen/provision/ticket"
	"redhen/provision/wire"
)

func TestTheWordListHas256PairsThatDiffer(t *testing.T) {
	texts, pictures := map[string]bool{}, map[string]bool{}
	for i := range 256 {
		w := wordAt(byte(i))
		if w.Text == "" || w.Picture == "" || w.Text != strings.ToLower(w.Text) || texts[w.Text] || pictures[w.Picture] {
			t.Errorf("%d: %+v", i, w)
		}
		texts[w.Text], pictures[w.Picture] = true, true
	}
}

// Boxes of different versions must show the same.
func TestGoldenWords(t *testing.T) {
	key := proofKey(ticket.Secret{1, 2, 3})
	got := fmt.Sprint(wordsFor(key, testKey(t, 1).BoxID(), testKey(t, 2).BoxID()))
	const want = "[🦗 cricket 🏆 trophy ⛲ fountain 🐖 pig]"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if other := fmt.Sprint(wordsFor(key, testKey(t, 1).BoxID(), testKey(t, 3).BoxID())); other == got {
		t.Error("another joiner has the same words")
	}
}

// buffer is a stream that reads what was written to it.
type buffer struct{ bytes.Buffer }

func (*buffer) Close() error                     { return nil }
func (*buffer) CloseWrite() error                { return nil }
func (*buffer) Reset() error                     { return nil }
func (*buffer) SetDeadline(time.Time) error      { return nil }
func (*buffer) SetReadDeadline(time.Time) error  { return nil }
func (*buffer) SetWriteDeadline(time.Time) error { return nil }

func longChain(t testing.TB, length int) []roster.Change {
	key := testKey(t, 1)
	c := roster.NewRename(roster.RenameBody{
		Circle: ident.CircleID(strings.Repeat("0", 32)), Box: key.BoxID(), Rev: 1, Name: strings.Repeat("x", 64),
	}, key)
	chain := make([]roster.Change, length)
	for i := range chain {
		chain[i] = c
	}
	return chain
}

// A chain may be longer than a frame.
func TestTheLongestWelcomeIsSent(t *testing.T) {
	var s buffer
	w := Welcome{Roster: longChain(t, roster.MaxChanges), Replica: 3, Extra: []byte("x"), Addrs: map[ident.BoxID][]netip.AddrPort{
		testKey(t, 1).BoxID(): {netip.MustParseAddrPort("1.2.3.4:5")},
	}}
	if err := writeWelcome(&s, w); err != nil {
		t.Fatal(err)
	}
	if s.Len() <= wire.MaxFrame/2 {
		t.Errorf("only %d bytes: proves nothing", s.Len())
	}
	r, err := readReply(&s, maxWelcome)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readWelcome(&s, *r.Welcome)
	if err != nil || len(got.Roster) != len(w.Roster) || fmt.Sprint(got.Addrs) != fmt.Sprint(w.Addrs) || got.Replica != 3 {
		t.Errorf("%d changes, %v, %v", len(got.Roster), got.Addrs, err)
	}
}

func FuzzReadWelcome(f *testing.F) {
	var s buffer
	writeWelcome(&s, Welcome{Roster: longChain(f, 3), Replica: 3, Addrs: map[ident.BoxID][]netip.AddrPort{
		testKey(f, 1).BoxID(): {netip.MustParseAddrPort("1.2.3.4:5")},
	}})
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &buffer{*bytes.NewBuffer(b)}
		r, err := readReply(s, maxWelcome)
		if err != nil || r.Welcome == nil {
			return
		}
		w, err := readWelcome(s, *r.Welcome)
		if err == nil && len(w.Roster) != r.Welcome.Changes {
			t.Error("a wrong number of changes was taken")
		}
	})
}

func FuzzApplication(f *testing.F) {
	f.Add(wire.MustMarshal(application{Proof: []byte{1}, Body: wire.MustMarshal(Application{BoxName: "x"}), Change: []byte{2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a application
		var app Application
		if wire.Unmarshal(b, &a) == nil && wire.Unmarshal(a.Body, &app) == nil {
			app.validate()
			a.said()
		}
		roster.Decode(a.Change)
	})
}
