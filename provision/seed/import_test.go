package seed

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/provision/ident"
	"redhen/provision/ticket"
)

var update = flag.Bool("update", false, "write testdata/cards/*.want")

func giftTicket(t testing.TB) string {
	t.Helper()
	key, err := ident.KeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	tk, err := ticket.New(key.BoxID(), ticket.Secret{1, 2, 3}, []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:4717")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tk.Text()
}

func someBox(t testing.TB) ident.BoxID {
	t.Helper()
	key, err := ident.KeyFromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key.BoxID()
}

func gift(t testing.TB) Seed {
	return Seed{
		House: "Mill Lane", Box: "mill", Keeper: "ann", Ticket: Secret(giftTicket(t)), ClaimHash: HashClaim("7Q4-K2M"),
		TimeZone: "Europe/Berlin", Country: "DE", Setup: "hens23cluck", Password: "the first password", Ways: []Way{
			{Box: someBox(t), Addr: netip.MustParseAddrPort("203.0.113.7:4717")},
			{Box: someBox(t), Addr: netip.MustParseAddrPort("[2001:db8::7]:4717")},
		},
		Wifi: []Wifi{
			{SSID: "Mill \"5G\" ü", Passphrase: "correct horse", Country: "DE"},
			{SSID: "caf\xe9", PMK: Secret(strings.Repeat("0a", 32)), Hidden: true},
			{SSID: "open"},
		},
	}
}

// The folders are cards as the tools and people write them; the .want files say what
// becomes of each: the seed, the problems, and what is on the card afterwards.
func TestCards(t *testing.T) {
	dirs, err := filepath.Glob("testdata/cards/*")
	if err != nil || len(dirs) < 9 {
		t.Fatalf("%d cards, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		if filepath.Ext(dir) == ".want" {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m := newMachine(readCard(t, dir))
			before := m.snapshot()
			r := mustImport(t, m)
			got := report(r, before, m.snapshot())
			want := dir + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(b), got); diff != "" {
				t.Error(diff)
			}
			again := mustImport(t, m)
			if !again.Seed.Equal(r.Seed) || len(again.New) != 0 {
				t.Errorf("the second start differs: %v, new %v", again.Seed, again.New)
			}
		})
	}
}

func readCard(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

func report(r Result, before, after map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "== seed\n%s== read %q\n== problems\n", Render(r.Seed), r.New)
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "%s (lost: %v)\n", p, p.Broken)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		switch left, ok := after[name]; {
		case !ok:
			fmt.Fprintf(&b, "== %s removed\n", name)
		case left == before[name]:
			fmt.Fprintf(&b, "== %s untouched\n", name)
		default:
			fmt.Fprintf(&b, "== %s\n%s", name, left)
		}
	}
	return b.String()
}

func giftCard(t *testing.T) map[string]string {
	return map[string]string{
		"redhen.toml":      string(Render(gift(t))),
		"redhen-wifi.txt":  "Upstairs\npassword of upstairs\n",
		"redhen-reset.txt": "password: a new password\n",
		"network-config":   "network:\n  version: 2\n  wifis:\n    wlan0:\n      access-points:\n        \"Imager\":\n          password: \"password of imager\"\n" + strings.Repeat("# filler\n", 200),
		"cmdline.txt":      "console=tty1 rootwait",
	}
}

func secrets(testing.TB) []string {
	return []string{"AE5WUJ54Z23KILL", "correct horse", strings.Repeat("0a", 32), "password of", "a new password", HashClaim("7Q4-K2M")}
}

func noSecrets(t *testing.T, m *machine) {
	t.Helper()
	for name, f := range m.files {
		for _, s := range secrets(t) {
			if strings.Contains(string(f.now), s) {
				t.Errorf("%s still holds %q", name, s)
			}
		}
	}
}

func TestImportTakesAllAndWipes(t *testing.T) {
	m := newMachine(giftCard(t))
	r := mustImport(t, m)
	want := gift(t)
	want.Reset = Reset{Wanted: true, Password: "a new password"}
	want.Wifi = slices.Concat([]Wifi{{SSID: "Upstairs", Passphrase: "password of upstairs"}}, want.Wifi, []Wifi{{SSID: "Imager", Passphrase: "password of imager"}})
	if !r.Seed.Equal(want) {
		t.Errorf("got\n%s\nwant\n%s", Render(r.Seed), Render(want))
	}
	if stored, err := Load(m); err != nil || !stored.Equal(want) {
		t.Errorf("stored: %v, %v", stored, err)
	}
	if len(r.Problems) != 0 {
		t.Errorf("problems: %v", r.Problems)
	}
	noSecrets(t, m)
	if got := string(m.files["cmdline.txt"].now); got != "console=tty1 rootwait\n" {
		t.Errorf("cmdline.txt: %q", got)
	}
	if _, ok := m.files["redhen-reset.txt"]; ok {
		t.Error("the request for a reset is still there")
	}
	if strings.Contains(string(m.stored), "seen") {
		t.Errorf("the store remembers wiped files:\n%s", m.stored)
	}
}

// Power goes at each single write; every sector that was not synced is old or new.
func TestPowerCutAtEveryStep(t *testing.T) {
	card := giftCard(t)
	whole := newMachine(card)
	want := mustImport(t, whole).Seed
	steps := whole.ops
	if steps < 20 {
		t.Fatalf("only %d steps", steps)
	}
	for cut := 1; cut <= steps; cut++ {
		for s := range uint64(12) {
			m := newMachine(card)
			m.rng = rand.New(rand.NewPCG(uint64(cut), s))
			m.cutAt = cut
			Import(m, m) // ends with the power
			m.restart()
			if m.stored == nil {
				if diff := cmp.Diff(card, m.snapshot()); diff != "" {
					t.Fatalf("cut %d: nothing is stored, but the card changed: %s", cut, diff)
				}
			} else if got, err := Load(m); err != nil || !got.Equal(want) {
				t.Fatalf("cut %d: stored %v, %v", cut, got, err)
			}
			for range 1 + s%3 { // and again at other moments
				m.cutAt = 1 + m.rng.IntN(steps)
				Import(m, m)
				m.restart()
			}
			r := mustImport(t, m)
			if !r.Seed.Equal(want) || len(r.Problems) != 0 {
				t.Fatalf("cut %d/%d: got\n%s\n%v", cut, s, Render(r.Seed), r.Problems)
			}
			noSecrets(t, m)
		}
	}
}

// What is used up stays used up, even on a card that cannot be written.
func TestALockedCardCountsOnce(t *testing.T) {
	m := newMachine(giftCard(t))
	m.locked = true
	r := mustImport(t, m)
	if len(r.Problems) == 0 || !r.Seed.Reset.Wanted {
		t.Fatalf("got %v, %v", r.Seed, r.Problems)
	}
	used := r.Seed
	used.Reset, used.Ticket = Reset{}, ""
	if err := Save(m, used); err != nil {
		t.Fatal(err)
	}
	if r = mustImport(t, m); !r.Seed.Equal(used) || len(r.New) != 0 {
		t.Errorf("read twice: %v, new %q", r.Seed, r.New)
	}
	m.locked = false
	if r = mustImport(t, m); !r.Seed.Equal(used) {
		t.Errorf("read when it could be wiped: %v", r.Seed)
	}
	noSecrets(t, m)
	m.files["redhen-reset.txt"] = &memFile{now: []byte("password: a new password\n")}
	if r = mustImport(t, m); !r.Seed.Reset.Wanted {
		t.Error("the same request at a later time is not heard")
	}
}

// What was heard is not forgotten because the card cannot be read for once.
func TestACardThatFailsForOnce(t *testing.T) {
	m := newMachine(giftCard(t))
	m.locked = true
	used := mustImport(t, m).Seed
	used.Reset = Reset{}
	if err := Save(m, used); err != nil {
		t.Fatal(err)
	}
	for _, m.bad = range []string{".", resetFile, ""} {
		r := mustImport(t, m)
		if !r.Seed.Equal(used) || m.bad != "" && len(r.Problems) == 0 {
			t.Errorf("%q: got %v, %v", m.bad, r.Seed, r.Problems)
		}
	}
}

func TestAWipedFileIsReadAgainWhenChanged(t *testing.T) {
	m := newMachine(map[string]string{"redhen.toml": string(Render(gift(t)))})
	first := mustImport(t, m).Seed
	f := m.files["redhen.toml"]
	if !isWiped(f.now) {
		t.Fatalf("left on the card:\n%s", f.now)
	}
	f.now = append(slices.Clone(f.now), "house = \"New Street\"\n"...)
	r := mustImport(t, m)
	if r.Seed.House != "New Street" || len(r.Seed.Wifi) != len(first.Wifi) || !slices.Equal(r.New, []string{"redhen.toml"}) {
		t.Errorf("got %s, new %q", Render(r.Seed), r.New)
	}
}

func TestABrokenFileStaysUntilItIsCorrected(t *testing.T) {
	m := newMachine(map[string]string{"redhen.toml": "house = \"Elm\"\nbox = \"a\tb\"\nkeeper = \"ann\"\n"})
	for range 2 {
		r := mustImport(t, m)
		if r.Seed.House != "Elm" || r.Seed.Box != "" || r.Seed.Keeper != "ann" || len(r.Problems) != 1 || !r.Problems[0].Broken {
			t.Fatalf("got %v, %v", r.Seed, r.Problems)
		}
	}
	m.files["redhen.toml"].now = []byte("house = \"Elm\"\nbox = \"ab\"\n")
	if r := mustImport(t, m); r.Seed.Box != "ab" || r.Seed.Keeper != "ann" || len(r.Problems) != 0 {
		t.Errorf("got %v, %v", r.Seed, r.Problems)
	}
}

type fullStore struct{ *machine }

func (fullStore) Save([]byte) error { return errors.New("disk full") }

func TestNothingIsWipedThatIsNotStored(t *testing.T) {
	m := newMachine(giftCard(t))
	r, err := Import(m, fullStore{m})
	if err == nil || r.Seed.House != "Mill Lane" {
		t.Errorf("got %v, %v", r.Seed, err)
	}
	if diff := cmp.Diff(giftCard(t), m.snapshot()); diff != "" {
		t.Errorf("the card changed: %s", diff)
	}
}

func TestAnEmptyCardWritesNothing(t *testing.T) {
	m := newMachine(map[string]string{"kernel8.img": "…", "cmdline.txt": "rootwait\n"})
	if r := mustImport(t, m); m.ops != 0 || !r.Seed.IsZero() || len(r.Problems) != 0 {
		t.Errorf("%d writes, %v", m.ops, r)
	}
}

func TestADamagedStoreIsSaidAndReplaced(t *testing.T) {
	m := newMachine(map[string]string{"redhen-wifi.txt": "Upstairs\npassword of upstairs\n"})
	m.stored = []byte("house = \"Mi")
	r := mustImport(t, m)
	if len(r.Problems) != 1 || len(r.Seed.Wifi) != 1 {
		t.Errorf("got %v", r)
	}
	if s, err := Load(m); err != nil || len(s.Wifi) != 1 {
		t.Errorf("stored %v, %v", s, err)
	}
}

func TestLimits(t *testing.T) {
	var many strings.Builder
	for i := range 40 {
		fmt.Fprintf(&many, "name: n%d\npassword: password\n", i)
	}
	m := newMachine(map[string]string{
		"redhen.toml":     "house = \"Big\"\n" + strings.Repeat("#", MaxFile),
		"redhen-wifi.txt": many.String(),
		"user-data":       "\x7fELF\x00\x00\x01",
	})
	r := mustImport(t, m)
	if r.Seed.House != "" || len(r.Seed.Wifi) != MaxNetworks {
		t.Errorf("house %q, %d networks", r.Seed.House, len(r.Seed.Wifi))
	}
	for _, file := range []string{"redhen.toml", "redhen-wifi.txt", "user-data"} {
		if !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.File == file && p.Broken }) {
			t.Errorf("nothing is said of %s: %v", file, r.Problems)
		}
	}
}

func TestImportStickReadsWifiOnlyAndWritesNothing(t *testing.T) {
	stick, box := newMachine(giftCard(t)), newMachine(nil)
	r, err := ImportStick(stick, box)
	if err != nil || len(r.Seed.Wifi) != 1 || r.Seed.House != "" || r.Seed.Reset.Wanted {
		t.Errorf("got %v, %v", r.Seed, err)
	}
	if stick.ops != 0 {
		t.Errorf("%d writes to the stick", stick.ops)
	}
	if s, err := Load(box); err != nil || !s.Equal(r.Seed) {
		t.Errorf("stored %v, %v", s, err)
	}
}

func TestDirAndPath(t *testing.T) {
	card, data := t.TempDir(), Path(filepath.Join(t.TempDir(), "seed.toml"))
	for name, content := range giftCard(t) {
		if err := os.WriteFile(filepath.Join(card, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "user-data")
	if err := os.WriteFile(outside, []byte("hostname: outside\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(card, "user-data")); err != nil {
		t.Fatal(err)
	}
	r, err := Import(Dir(card), data)
	if err != nil || r.Seed.House != "Mill Lane" || r.Seed.Box != "mill" || len(r.Problems) != 0 {
		t.Errorf("got %v, %v", r, err)
	}
	for name := range giftCard(t) {
		b, err := os.ReadFile(filepath.Join(card, name))
		if name == "redhen-reset.txt" && errors.Is(err, os.ErrNotExist) {
			continue
		}
		for _, s := range secrets(t) {
			if err != nil || strings.Contains(string(b), s) {
				t.Errorf("%s holds a secret, %v", name, err)
			}
		}
	}
	if again, err := Import(Dir(card), data); err != nil || !again.Seed.Equal(r.Seed) || len(again.New) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	if _, err := Dir(card).Open("user-data"); err == nil {
		t.Error("a link was followed")
	}
}
