package seed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Folder is the FAT partition of a card: one flat folder. Names come back as they
// are stored; a name in another case is another file here, whatever FAT thinks.
type Folder interface {
	// Names lists the plain files.
	Names() ([]string, error)
	// Open opens a file for reading and, where the card allows it, for writing.
	Open(name string) (File, error)
	// Remove removes a file; it is durable on return.
	Remove(name string) error
}

// File is one open file of a Folder. A write is durable after Sync; until then a
// power cut may keep any of its 512-byte sectors.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

// Store is the place on the data side, one file that only the box reads.
type Store interface {
	// Load returns the content, fs.ErrNotExist when there is none yet.
	Load() ([]byte, error)
	// Save replaces the content, all or nothing, durable on return.
	Save(content []byte) error
}

// Result is what an import came to.
type Result struct {
	Seed     Seed     // all that is known now: what was stored, and over it what the card says
	New      []string // files that were taken over by this import
	Problems []Problem
}

// Load returns the stored seed; of a box that never had one, an empty seed. With an
// error, as much as could be read.
func Load(data Store) (Seed, error) {
	r, _, err := loadRecord(data)
	return r.Seed, err
}

// Save stores a seed. The appliance clears so what it has used up, such as the
// ticket; one caller at a time, and not during Import.
func Save(data Store, s Seed) error {
	r, _, _ := loadRecord(data) // what cannot be read is replaced
	r.Seed = s
	return data.Save(render(r))
}

// ImportStick takes over the Wi-Fi networks of a redhen-wifi.txt on a USB stick. The
// stick is never written to, and nothing else on it is read.
func ImportStick(stick Folder, data Store) (Result, error) {
	im := &importer{card: stick, data: data}
	im.load()
	im.scan(func(s source) bool { return s.name == wifiFile })
	err := im.store(nil)
	return im.result, err
}

// Import takes over what a card says, once: it reads every known file, merges them
// (see sources for the order) over what is stored, stores the result, and only then
// wipes the files that were understood whole: secrets are overwritten, and what stays
// is a file that says what was taken over. A file that could not be read whole stays
// as it is, so that it can be corrected; what it says counts once.
//
// A power cut at any moment leaves either the files as they were or the stored seed,
// and the next Import finishes. What flash memory keeps of overwritten sectors
// internally is beyond anyone's reach from here.
//
// The result is usable even with an error; the error means that nothing could be
// stored, and then nothing was wiped.
func Import(card Folder, data Store) (Result, error) {
	im := &importer{card: card, data: data}
	im.load()
	if !im.scan(func(source) bool { return true }) {
		return im.result, nil
	}
	im.unknown()
	im.readCmdline()
	if err := im.store(im.pending()); err != nil {
		return im.result, err
	}
	im.wipe()
	im.fixCmdline()
	return im.result, nil
}

type importer struct {
	card   Folder
	data   Store
	names  []string
	old    record
	raw    []byte // of old
	found  []*found
	unread []string // files that could not be read this time
	fresh  Seed     // of all new files together
	result Result
}

// found is a file on the card that has something for us.
type found struct {
	source
	name    string // as stored
	size    int64
	sum     string // SHA-256 of the content in hex
	state   state
	seed    Seed
	keep    bool // left as it is: not understood whole, for the person to correct, or too short for a secret
	content []byte
}

type state uint8

const (
	fresh  state = iota // to be taken over
	known               // taken over before, but could not be wiped, or is kept
	marked              // taken over, wiping was cut short
)

func loadRecord(data Store) (r record, raw []byte, err error) {
	raw, err = data.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil, nil
	}
	if err != nil {
		return r, nil, fmt.Errorf("read stored seed: %w", err)
	}
	p := &problems{}
	if r = readRecord(raw, p); p.lost {
		err = errors.New("stored seed is damaged")
	}
	return r, raw, err
}

func (im *importer) load() {
	var err error
	if im.old, im.raw, err = loadRecord(im.data); err != nil {
		im.problem(Problem{Broken: true, Code: Damaged})
	}
	im.result.Seed = im.old.Seed
}

func (im *importer) problem(p ...Problem) { im.result.Problems = append(im.result.Problems, p...) }

// scan reads the wanted files and merges what is new. It returns false when there is
// no telling what is on the card.
func (im *importer) scan(want func(source) bool) bool {
	var err error
	if im.names, err = im.card.Names(); err != nil {
		im.problem(Problem{Broken: true, Code: Unlisted})
		return false
	}
	for _, src := range sources() {
		for _, name := range im.names {
			if want(src) && sameFile(name, src.name) {
				im.examine(src, name)
			}
		}
	}
	im.result.Seed = im.fresh.Over(im.old.Seed)
	return true
}

// sameFile forgives the case, and the second .txt that Windows hides.
func sameFile(name, want string) bool {
	return strings.EqualFold(name, want) || strings.HasSuffix(want, ".txt") && strings.EqualFold(name, want+".txt")
}

func (im *importer) examine(src source, name string) {
	content, size, err := readFile(im.card, name)
	if err != nil {
		im.unread = append(im.unread, name)
		im.problem(Problem{File: name, Broken: true, Code: Unread})
		return
	}
	f := &found{source: src, name: name, size: size, content: content, sum: sumOf(content)}
	switch {
	case isMarked(content):
		f.state = marked
	case isWiped(content) || size == 0 && !src.once:
		return
	case im.old.seen[name] == f.sum:
		f.state = known
	}
	im.found = append(im.found, f)
	if f.state == marked {
		return
	}
	p := &problems{file: name}
	if text, ok := plain(content, p); ok {
		f.seed = src.read(text, p)
	}
	im.problem(p.list...)
	f.keep = (p.lost || size < int64(len(mark))) && !src.once
	if f.state == fresh {
		im.fresh = f.seed.Over(im.fresh)
		if !f.seed.IsZero() {
			im.result.New = append(im.result.New, name)
		}
	}
}

// readFile returns the content, of a larger file only so much that plain refuses it.
func readFile(card Folder, name string) (b []byte, size int64, err error) {
	f, err := card.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if size, err = f.Size(); err != nil {
		return nil, 0, err
	}
	b = make([]byte, min(size, MaxFile+1))
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], size, err
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// unknown tells of files that look as if they were meant for us.
func (im *importer) unknown() {
	for _, name := range im.names {
		lower := strings.ToLower(name)
		ours := strings.HasPrefix(lower, "redhen") || strings.HasPrefix(lower, "network-config") || strings.HasPrefix(lower, "user-data")
		if ours && !slices.ContainsFunc(sources(), func(s source) bool { return sameFile(name, s.name) }) {
			im.problem(Problem{File: name, Code: UnknownFile})
		}
	}
}

// pending returns what the store has to remember while files are being wiped.
func (im *importer) pending() map[string]string {
	seen := map[string]string{}
	for _, f := range im.found {
		if f.state != marked {
			seen[f.name] = f.sum
		}
	}
	for _, name := range im.unread {
		if sum, ok := im.old.seen[name]; ok {
			seen[name] = sum
		}
	}
	return seen
}

// store writes the record if it differs from the stored one.
func (im *importer) store(seen map[string]string) error {
	if seen == nil {
		seen = im.old.seen
	}
	if im.raw == nil && im.result.Seed.IsZero() && len(seen) == 0 {
		return nil
	}
	if im.raw != nil && im.result.Seed.Equal(im.old.Seed) && maps.Equal(seen, im.old.seen) {
		return nil
	}
	next := record{Seed: im.result.Seed, seen: seen}
	b := render(next)
	if err := im.data.Save(b); err != nil {
		return fmt.Errorf("store seed: %w", err)
	}
	im.old, im.raw = next, b
	return nil
}

// wipe removes the secrets from what was taken over, and then forgets the files: the
// same file put there again is read again.
func (im *importer) wipe() {
	seen := im.pending()
	for _, f := range im.found {
		if f.keep {
			continue
		}
		if err := f.wipe(im.card); err != nil {
			im.problem(Problem{File: f.name, Code: NotWiped})
			continue
		}
		delete(seen, f.name)
	}
	if err := im.store(seen); err != nil {
		im.problem(Problem{Code: NotListed})
	}
}
