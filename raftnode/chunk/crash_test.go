package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"redhen/raftnode/vfs/vfstest"
)

// promises is what a store has confirmed.
type promises struct {
	chunks map[Hash][]byte // put and not removed since
	leases map[Hash]int64
	tried  map[Hash][]byte // everything that was ever put, or begun to be
}

func newPromises() *promises {
	return &promises{chunks: map[Hash][]byte{}, leases: map[Hash]int64{}, tried: map[Hash][]byte{}}
}

func diskConfig(d *vfstest.Disk, c *clock) Config {
	return Config{FS: d, Dir: "chunks", Now: c.now, Logger: slog.New(slog.DiscardHandler)}
}

// work does n random things with s and keeps the book; it ends with the first error.
func (p *promises) work(s *Store, rng *rand.Rand, n int) error {
	for range n {
		var err error
		switch rng.IntN(10) {
		case 0, 1:
			err = p.lease(s, rng)
		case 2:
			err = p.remove(s, rng)
		default:
			err = p.put(s, rng)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// some returns bytes that are often the same, of one to seven sectors.
func some(rng *rand.Rand) []byte { return bytes.Repeat([]byte{byte(rng.IntN(30))}, 1+100*rng.IntN(30)) }

func (p *promises) put(s *Store, rng *rand.Rand) error {
	b := some(rng)
	h := Sum(b)
	p.tried[h] = b
	if _, err := s.Put(b); err != nil {
		return err
	}
	p.chunks[h] = b
	return nil
}

func (p *promises) remove(s *Store, rng *rand.Rand) error {
	hs := slices.SortedFunc(maps.Keys(p.chunks), Hash.Compare)
	if len(hs) == 0 {
		return nil
	}
	h := hs[rng.IntN(len(hs))]
	if p.leases[h] > 0 {
		if err := remove(s, h); !errors.Is(err, ErrLeased) {
			return fmt.Errorf("removed a leased chunk: %w", err)
		}
		return nil
	}
	delete(p.chunks, h)
	return remove(s, h)
}

func (p *promises) lease(s *Store, rng *rand.Rand) error {
	hs := []Hash{Sum(some(rng)), Sum(some(rng))}
	have, err := s.Lease(hs, 1000)
	if err != nil {
		return err
	}
	for i, h := range hs {
		p.leases[h] = 1000
		if have[i] {
			p.chunks[h] = p.tried[h]
		}
	}
	return nil
}

// check compares what is on the disk with what was promised.
func (p *promises) check(t *testing.T, d *vfstest.Disk, s *Store) {
	t.Helper()
	for h, want := range p.chunks {
		if got, err := s.Get(h); err != nil || !bytes.Equal(got, want) {
			t.Errorf("confirmed chunk of %d bytes: got %d, %v", len(want), len(got), err)
		}
	}
	for h := range p.leases {
		if !s.Leased(h) {
			t.Errorf("confirmed lease of %v is lost", h)
		}
	}
	n := 0
	for h := range s.All() {
		n++
		if got, err := s.Get(h); err != nil || !bytes.Equal(got, p.tried[h]) {
			t.Errorf("%v: got %d bytes, %v", h, len(got), err)
		}
	}
	if got, _ := s.Usage(); got != n {
		t.Errorf("usage says %d chunks, want %d", got, n)
	}
	for i := range 256 {
		names, _ := d.ReadDir(path.Join("chunks", fmt.Sprintf("%02x", i)))
		if slices.ContainsFunc(names, func(s string) bool { return strings.HasSuffix(s, tempSuffix) }) {
			t.Errorf("left behind: %v", names)
		}
	}
}

// crash runs rounds of work, each ended by a power cut at a drawn operation,
// and checks after each.
func crash(t *testing.T, seed uint64, rounds int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	d, p, c := vfstest.New(seed), newPromises(), &clock{1}
	d.Garbage(seed%2 == 0)
	if err := d.MkdirAll("chunks"); err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		d.CutAt(1 + rng.IntN(120))
		s, err := Open(diskConfig(d, c))
		if err == nil {
			err = p.work(s, rng, 40)
		}
		if err != nil && !errors.Is(err, vfstest.ErrPowerCut) {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		d.Restart()
		s, err = Open(diskConfig(d, c))
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, round, err)
		}
		p.check(t, d, s)
		if t.Failed() {
			t.Fatalf("seed %d, round %d: %v", seed, round, d)
		}
	}
}

// What was confirmed survives a power cut at any operation, again and again, and
// nothing that was not put is ever read.
func TestConfirmedChunksAndLeasesSurvivePowerCuts(t *testing.T) {
	for seed := range uint64(60) {
		crash(t, seed, 5)
	}
}

// The test above must notice a disk that does not keep its word.
func TestTheCrashTestCanFail(t *testing.T) {
	d, c := vfstest.New(1), &clock{1}
	d.LyingSync(true)
	lost := 0
	for i := range 20 {
		s, err := Open(diskConfig(d, c))
		if err != nil {
			t.Fatal(err)
		}
		h := mustPut(t, s, []byte{byte(i)})
		d.Restart()
		if s, err = Open(diskConfig(d, c)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(h); err != nil {
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing was lost on a lying disk")
	}
}

func TestAFullDisk(t *testing.T) {
	for room := int64(0); room <= 12*vfstest.Sector; room += vfstest.Sector {
		d, c := vfstest.New(uint64(room)), &clock{1}
		s, err := Open(diskConfig(d, c))
		if err != nil {
			t.Fatal(err)
		}
		kept := mustPut(t, s, []byte("kept"))
		d.SetCapacity(d.Used() + room)
		refused := 0
		for i := range 8 {
			if _, err := s.Put(bytes.Repeat([]byte{byte(i)}, 3*vfstest.Sector)); err != nil {
				if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("%d bytes of room: %v", room, err)
				}
				refused++
			}
		}
		if n, _ := s.Usage(); n != 1+8-refused || refused < 3 {
			t.Errorf("%d bytes of room: %d chunks are here, %d were refused", room, n, refused)
		}
		if _, err := s.Lease(many(200), 1000); room < 8*vfstest.Sector && refused == 8 && !errors.Is(err, ErrFull) {
			t.Errorf("%d bytes of room: lease: %v", room, err)
		}
		d.SetCapacity(d.Used())
		if s, err = Open(diskConfig(d, c)); err != nil {
			t.Fatalf("open on a full disk: %v", err)
		}
		if _, err := s.Get(kept); err != nil {
			t.Errorf("read from a full disk: %v", err)
		}
		d.SetCapacity(0)
		mustPut(t, s, []byte("room again"))
		mustLease(t, s, 1000, many(200)...) // more than a block
	}
}

func many(n int) (hs []Hash) {
	for i := range n {
		hs = append(hs, Sum(fmt.Append(nil, i)))
	}
	return hs
}

// An operation that fails confirms nothing, and takes nothing away.
func TestEveryOperationMayFail(t *testing.T) {
	for n := 1; n < 60; n++ {
		d, c, p := vfstest.New(uint64(n)), &clock{1}, newPromises()
		s, err := Open(diskConfig(d, c))
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(uint64(n), 2))
		d.FailAt(n, syscall.EIO)
		for range 40 {
			if err := p.work(s, rng, 1); err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, ErrStopped) {
				t.Fatalf("operation %d: %v", n, err)
			}
		}
		d.Restart()
		if s, err = Open(diskConfig(d, c)); err != nil {
			t.Fatalf("operation %d: %v", n, err)
		}
		p.check(t, d, s)
	}
}

func TestRotIsFoundWhereverItStrikes(t *testing.T) {
	d, c := vfstest.New(3), &clock{1}
	s, err := Open(diskConfig(d, c))
	if err != nil {
		t.Fatal(err)
	}
	b := []byte("sixteen bytes ok")
	for bit := range 8 * len(b) {
		h := mustPut(t, s, b)
		if err := d.Flip(s.folder(h).name(h), int64(bit/8), uint(bit%8)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(h); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		if _, err := d.OpenFile(s.folder(h).name(h), 0); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("bit %d: still in its place: %v", bit, err)
		}
	}
}
