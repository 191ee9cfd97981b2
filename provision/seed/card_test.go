package seed

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

var errPower = errors.New("no power")

// machine is a card and a store whose power goes at a chosen operation. What was
// written and not synced may be on the card, by sector, or not.
type machine struct {
	files  map[string]*memFile
	stored []byte
	cutAt  int // operation that does not happen any more; 0: never
	ops    int
	dead   error
	locked bool   // write-protected card
	bad    string // a file that cannot be opened; "." for the folder itself
	rng    *rand.Rand
}

type memFile struct{ now, durable []byte }

func newMachine(files map[string]string) *machine {
	m := &machine{files: map[string]*memFile{}, rng: rand.New(rand.NewPCG(1, 2))}
	for name, content := range files {
		m.files[name] = &memFile{now: []byte(content), durable: []byte(content)}
	}
	return m
}

// step counts a write; it fails once the power is gone.
func (m *machine) step() error {
	m.ops++
	if m.cutAt > 0 && m.ops >= m.cutAt {
		m.dead = errPower
	}
	return m.dead
}

// restart makes of each file what a power cut may leave.
func (m *machine) restart() {
	m.dead, m.cutAt, m.ops = nil, 0, 0
	for _, f := range m.files {
		f.now = torn(m.rng, f.durable, f.now)
		f.durable = slices.Clone(f.now)
	}
}

// torn takes each sector from before or after, and the length from either.
func torn(rng *rand.Rand, before, after []byte) []byte {
	size := len(before)
	if rng.IntN(2) == 0 {
		size = len(after)
	}
	out := make([]byte, size)
	for at := 0; at < size; at += sector {
		from := before
		if rng.IntN(2) == 0 && at < len(after) || at >= len(before) {
			from = after
		}
		if at < len(from) {
			copy(out[at:min(at+sector, size)], from[at:])
		}
	}
	return out
}

func (m *machine) snapshot() map[string]string {
	all := map[string]string{}
	for name, f := range m.files {
		all[name] = string(f.now)
	}
	return all
}

func (m *machine) Names() ([]string, error) {
	if m.bad == "." {
		return nil, fs.ErrInvalid
	}
	return slices.Sorted(maps.Keys(m.files)), m.dead
}

func (m *machine) Open(name string) (File, error) {
	f, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if m.bad == name {
		return nil, fs.ErrInvalid
	}
	return &memHandle{m, f}, m.dead
}

func (m *machine) Remove(name string) error {
	if m.locked {
		return fs.ErrPermission
	}
	if err := m.step(); err != nil {
		return err
	}
	delete(m.files, name)
	return nil
}

func (m *machine) Load() ([]byte, error) {
	if m.stored == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(m.stored), m.dead
}

func (m *machine) Save(b []byte) error {
	if err := m.step(); err != nil {
		return err
	}
	m.stored = slices.Clone(b)
	return nil
}

type memHandle struct {
	m *machine
	f *memFile
}

func (h *memHandle) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(h.f.now)) {
		return 0, io.EOF
	}
	n := copy(b, h.f.now[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) WriteAt(b []byte, at int64) (int, error) {
	if h.m.locked {
		return 0, fs.ErrPermission
	}
	err := h.m.step()
	if err == nil || h.m.ops == h.m.cutAt { // the cut comes in the middle of this write
		if grow := int(at) + len(b) - len(h.f.now); grow > 0 {
			h.f.now = append(slices.Clone(h.f.now), make([]byte, grow)...)
		}
		h.f.now = slices.Clone(h.f.now)
		copy(h.f.now[at:], b)
	}
	return len(b), err
}

func (h *memHandle) Truncate(size int64) error {
	if err := h.m.step(); err != nil {
		return err
	}
	h.f.now = slices.Clone(h.f.now[:size])
	return nil
}

func (h *memHandle) Sync() error {
	if err := h.m.step(); err != nil {
		return err
	}
	h.f.durable = slices.Clone(h.f.now)
	return nil
}

func (h *memHandle) Size() (int64, error) { return int64(len(h.f.now)), h.m.dead }
func (h *memHandle) Close() error         { return nil }

// mustImport imports without a cut.
func mustImport(t *testing.T, m *machine) Result {
	t.Helper()
	r, err := Import(m, m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
