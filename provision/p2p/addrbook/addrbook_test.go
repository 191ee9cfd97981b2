package addrbook

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"redhen/provision/ident"
	"redhen/provision/wire"
)

func everybody(ident.BoxID) bool { return true }

func keyOf(t testing.TB, seed byte) ident.Key {
	t.Helper()
	k, err := ident.KeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testBook(t testing.TB, dir string, seed byte) *Book {
	t.Helper()
	b, err := Open(dir, keyOf(t, seed), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func addrs(s ...string) (out []netip.AddrPort) {
	for _, a := range s {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}

func own(b *Book) []byte { return b.entries[b.self].raw }

func TestTheNewestRecordWins(t *testing.T) {
	a, b := testBook(t, "", 1), testBook(t, "", 2)
	if !a.Publish(addrs("1.2.3.4:5"), nil, time.Time{}, Reach{}) {
		t.Fatal("first record not made")
	}
	old := own(a)
	if a.Publish(addrs("1.2.3.4:5"), nil, time.Time{}, Reach{}) {
		t.Error("a record without news was made")
	}
	a.Publish(addrs("1.2.3.4:6"), nil, time.Time{}, Reach{})
	for i, step := range []struct {
		raw   []byte
		fresh bool
	}{{old, true}, {own(a), true}, {old, false}, {own(a), false}} {
		if _, fresh, err := b.Put(step.raw, everybody); err != nil || fresh != step.fresh {
			t.Errorf("step %d: fresh %v, %v; want %v", i, fresh, err, step.fresh)
		}
	}
	if got, want := b.Addrs(a.self), addrs("1.2.3.4:6"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A box whose clock went back still makes records that win.
func TestRecordsGrowWhenTheClockGoesBack(t *testing.T) {
	a := testBook(t, "", 1)
	a.entries[a.self] = entry{record: record{Box: a.self, Seq: time.Now().Add(time.Hour).UnixMilli()}}
	before := a.entries[a.self].Seq
	a.Publish(addrs("1.2.3.4:5"), nil, time.Time{}, Reach{})
	if got := a.entries[a.self].Seq; got <= before {
		t.Errorf("got %d, want more than %d", got, before)
	}
}

func TestABookRefusesForgeries(t *testing.T) {
	a, b := testBook(t, "", 1), testBook(t, "", 2)
	a.Publish(addrs("1.2.3.4:5"), nil, time.Time{}, Reach{})
	var s signedRecord
	if err := wire.Unmarshal(own(a), &s); err != nil {
		t.Fatal(err)
	}
	resign := func(r record) []byte {
		body := wire.MustMarshal(r)
		return wire.MustMarshal(signedRecord{body, a.key.Sign(recordPurpose, body)})
	}
	ok, _ := netip.MustParseAddrPort("1.2.3.4:5").MarshalBinary()
	zone, _ := netip.MustParseAddrPort("[fe80::1%eth0]:5").MarshalBinary()
	tests := map[string][]byte{
		"nothing":        nil,
		"garbage":        []byte("garbage"),
		"changed":        wire.MustMarshal(signedRecord{append(slices.Clone(s.Record), 0), s.Sig}),
		"other's key":    wire.MustMarshal(signedRecord{s.Record, b.key.Sign(recordPurpose, s.Record)}),
		"other purpose":  wire.MustMarshal(signedRecord{s.Record, a.key.Sign("x", s.Record)}),
		"other's name":   resign(record{Box: b.self, Seq: 1}),
		"many addresses": resign(record{Box: a.self, Seq: 1, Addrs: slices.Repeat([][]byte{ok}, maxAddrs+1)}),
		"no address":     resign(record{Box: a.self, Seq: 1, Addrs: [][]byte{{1, 2}}}),
		"zone":           resign(record{Box: a.self, Seq: 1, Addrs: [][]byte{zone}}),
		"many relays":    resign(record{Box: a.self, Seq: 1, Relays: slices.Repeat([]ident.BoxID{b.self}, MaxRelays+1)}),
		"bad relay":      resign(record{Box: a.self, Seq: 1, Relays: []ident.BoxID{"x/y"}}),
		"negative":       resign(record{Box: a.self, Seq: -1}),
		"large":          bytes.Repeat([]byte{1}, maxRecord+1),
	}
	for name, raw := range tests {
		if _, fresh, err := b.Put(raw, everybody); !errors.Is(err, errBadRecord) || fresh {
			t.Errorf("%s: got %v, %v", name, fresh, err)
		}
	}
	for name, want := range map[string]func(ident.BoxID) bool{"no member": func(ident.BoxID) bool { return false }} {
		if _, fresh, err := b.Put(own(a), want); err != nil || fresh {
			t.Errorf("%s: got %v, %v", name, fresh, err)
		}
	}
	if _, fresh, err := a.Put(own(a), everybody); err != nil || fresh {
		t.Errorf("own record from others: got %v, %v", fresh, err)
	}
}

func TestABookIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	a, b := testBook(t, "", 1), testBook(t, dir, 2)
	a.Publish(addrs("1.2.3.4:5", "[2001:db8::1]:5"), []ident.BoxID{b.self}, time.Now().Add(time.Hour), Reach{})
	b.Put(own(a), everybody)
	if err := b.Save(); err != nil {
		t.Fatal(err)
	}
	again := testBook(t, dir, 2)
	if got := again.Addrs(a.self); !slices.Equal(got, b.Addrs(a.self)) || len(got) != 2 {
		t.Errorf("addresses %v", got)
	}
	if got := again.Relays(a.self); !slices.Equal(got, []ident.BoxID{b.self}) {
		t.Errorf("relays %v", got)
	}
	if !again.Door(a.self, time.Now()) || again.Door(a.self, time.Now().Add(2*time.Hour)) {
		t.Error("the door is not open for an hour")
	}
	again.Keep(func(ident.BoxID) bool { return false })
	if got := again.Addrs(a.self); len(got) != 0 {
		t.Errorf("a removed box is still known: %v", got)
	}
}

func TestADamagedBookIsBegunAnew(t *testing.T) {
	for name, content := range map[string][]byte{
		"garbage": []byte("garbage"), "empty": {}, "huge": make([]byte, MaxBytes+1), "bad record": wire.MustMarshal([][]byte{{1}}),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "addresses"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if b := testBook(t, dir, 1); len(b.entries) != 0 {
			t.Errorf("%s: %d entries", name, len(b.entries))
		}
	}
}

func TestOnlyUnsentRecordsAreSent(t *testing.T) {
	a, b := testBook(t, "", 1), testBook(t, "", 2)
	a.Publish(addrs("1.2.3.4:5"), nil, time.Time{}, Reach{})
	b.Publish(addrs("1.2.3.4:6"), nil, time.Time{}, Reach{})
	b.Put(own(a), everybody)
	all, sent := b.Unsent(nil)
	if len(all) != 2 {
		t.Fatalf("%d records, want 2", len(all))
	}
	if more, _ := b.Unsent(sent); len(more) != 0 {
		t.Errorf("%d records sent twice", len(more))
	}
	a.Publish(addrs("1.2.3.4:7"), nil, time.Time{}, Reach{})
	b.Put(own(a), everybody)
	if more, _ := b.Unsent(sent); len(more) != 1 || !bytes.Equal(more[0], own(a)) {
		t.Errorf("%d records, want the new one", len(more))
	}
}

func TestTheLargestRecordFits(t *testing.T) {
	b := testBook(t, "", 1)
	var many []netip.AddrPort
	for i := range maxAddrs {
		many = append(many, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)}), 60000))
	}
	b.Publish(many, slices.Repeat([]ident.BoxID{b.self}, MaxRelays), time.Now().Add(time.Hour), Reach{})
	if e, err := decodeRecord(own(b)); err != nil || len(e.addrs) != maxAddrs {
		t.Errorf("%d bytes: %v", len(own(b)), err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	b := testBook(f, "", 1)
	b.Publish(addrs("1.2.3.4:5"), []ident.BoxID{b.self}, time.Now().Add(time.Hour), Reach{})
	f.Add(own(b))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := decodeRecord(raw)
		if err == nil && !bytes.Equal(e.raw, raw) {
			t.Error("a record was changed")
		}
	})
}

func TestRentedRelaysInRecords(t *testing.T) {
	relay := Rented{keyOf(t, 1).BoxID(), addrs("8.0.0.1:4717")[0]}
	k := keyOf(t, 2)
	b, err := Open("", k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.Publish(addrs("8.0.0.2:1"), nil, time.Time{}, Reach{Wall: WallCarrier, Rented: []Rented{relay}})
	other, err := Open("", keyOf(t, 3), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, fresh, err := other.Put(b.Own(), func(ident.BoxID) bool { return true }); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	if got := other.Rented(k.BoxID()); len(got) != 1 || got[0] != relay || len(other.AllRented()) != 1 {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"", "x@1.2.3.4:5", string(relay.Box), string(relay.Box) + "@1.2.3.4", string(relay.Box) + "@1.2.3.4:0"} {
		if _, err := ParseRented(bad); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}
