// Package bundle is the file by which a box gets a new system: a signed list of the
// files of one slot, and then the files. Nothing in it is used before the signature
// of the list is verified, and no file before its hash is.
package bundle

import (
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"

	"redhen/images/layout"
	"redhen/provision/wire"
)

// A bundle is
//
//	"redhen update 1\n"
//	the Header, a frame of CBOR (see provision/wire)
//	an Ed25519 signature of all before it, behind signedAs; zeros: unsigned
//	the files in their order, one after the other, as one gzip stream
const (
	magic    = "redhen update "
	first    = magic + "1\n"
	signedAs = "redhen update file\x00"
)

// Limits of what is read.
const (
	MaxHeader = 256 << 10
	MaxFiles  = 1500
	MaxBoot   = 80 << 20 // of all files for the FAT together
	maxText   = 128
	maxLine   = 2048 // of a kernel's command line, which takes no more
)

// RootName is the name of the root's squashfs; all other names are below BootDir, and
// go to the slot's folder on the FAT.
const (
	RootName = "root"
	BootDir  = "boot/"
)

// The errors of Open and Files.
var (
	ErrNoBundle = errors.New("this is no update file")
	ErrNewer    = errors.New("the update file is of a newer format")
	ErrUnsigned = errors.New("the update file is not signed")
	ErrSigner   = errors.New("the update file is signed by somebody else, or was changed")
	ErrDamaged  = errors.New("the update file is damaged")
)

// Header says what a bundle is.
type Header struct {
	Board   layout.Board `cbor:"1,keyasint"`
	Release string       `cbor:"2,keyasint"` // for people
	Number  uint64       `cbor:"3,keyasint"` // a later release has a larger one
	Level   uint64       `cbor:"4,keyasint"` // highest format level that the release understands
	Lines   Lines        `cbor:"5,keyasint"`
	Files   []File       `cbor:"6,keyasint"`
}

// Lines are the kernel's command lines.
type Lines struct {
	UEFIA string `cbor:"1,keyasint"`
	UEFIB string `cbor:"2,keyasint"`
	PiA   string `cbor:"3,keyasint,omitempty"`
	PiB   string `cbor:"4,keyasint,omitempty"`
}

// UEFI is the line for a slot that UEFI starts.
func (l Lines) UEFI(s layout.Slot) string {
	if s == layout.B {
		return l.UEFIB
	}
	return l.UEFIA
}

// Pi is the line for a slot that the firmware of a Raspberry Pi starts.
func (l Lines) Pi(s layout.Slot) string {
	if s == layout.B {
		return l.PiB
	}
	return l.PiA
}

// File is one file of a bundle.
type File struct {
	Name string   `cbor:"1,keyasint"`
	Size int64    `cbor:"2,keyasint"`
	Sum  [32]byte `cbor:"3,keyasint"` // SHA-256
}

// Boot returns the name below the slot's folder of a file for the FAT.
func (f File) Boot() (string, bool) { return strings.CutPrefix(f.Name, BootDir) }

// check refuses what no box could use.
func (h *Header) check() error {
	if err := h.Board.Check(); err != nil {
		return err
	}
	if h.Release == "" || len(h.Release) > maxText || h.Number == 0 || len(h.Files) == 0 || len(h.Files) > MaxFiles {
		return errors.New("a field is out of its limits")
	}
	for _, line := range []string{h.Lines.UEFIA, h.Lines.UEFIB, h.Lines.PiA, h.Lines.PiB} {
		if len(line) > maxLine || strings.ContainsAny(line, "\r\n\x00") {
			return errors.New("a command line is out of its limits")
		}
	}
	seen := map[string]bool{}
	boot := int64(0)
	for _, f := range h.Files {
		name, isBoot := f.Boot()
		if key := strings.ToLower(f.Name); seen[key] {
			return fmt.Errorf("%q is there twice", f.Name)
		} else {
			seen[key] = true
		}
		switch {
		case f.Size < 0 || len(f.Name) > maxText:
			return fmt.Errorf("%q is out of its limits", f.Name)
		case f.Name == RootName && f.Size <= layout.RootSize:
		case isBoot && fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, `\:*?"<>|`):
			boot += f.Size
		default:
			return fmt.Errorf("%q is no file of a slot", f.Name)
		}
		if boot > MaxBoot {
			return errors.New("the files for the FAT are too large")
		}
	}
	if !seen[RootName] || !seen[BootDir+layout.KernelName] {
		return errors.New("root or kernel is missing")
	}
	return nil
}

// Write writes a bundle, signed with key, or unsigned when that is nil. open gives each
// file of the header.
func Write(w io.Writer, h Header, key ed25519.PrivateKey, open func(name string) (io.ReadCloser, error)) error {
	if err := h.check(); err != nil {
		return fmt.Errorf("write update file: %w", err)
	}
	head := &strings.Builder{}
	head.WriteString(first)
	if err := wire.Write(head, h); err != nil {
		return fmt.Errorf("write update file: %w", err)
	}
	sig := make([]byte, ed25519.SignatureSize)
	if key != nil {
		sig = ed25519.Sign(key, []byte(signedAs+head.String()))
	}
	if _, err := io.WriteString(w, head.String()+string(sig)); err != nil {
		return fmt.Errorf("write update file: %w", err)
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed) // the root is compressed already
	if err != nil {
		return fmt.Errorf("write update file: %w", err)
	}
	for _, f := range h.Files {
		if err := copyFile(z, f, open); err != nil {
			return fmt.Errorf("write update file: %s: %w", f.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write update file: %w", err)
	}
	return nil
}

func copyFile(w io.Writer, f File, open func(name string) (io.ReadCloser, error)) error {
	r, err := open(f.Name)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), r)
	if err == nil && (n != f.Size || [32]byte(sum.Sum(nil)) != f.Sum) {
		err = errors.New("it is not what the list says")
	}
	return err
}

// Reader reads a bundle. Its header is verified.
type Reader struct {
	Header
	r io.Reader
}

// Open reads the head of a bundle and verifies that one of keys signed it. The errors
// are those above, or that of r.
func Open(r io.Reader, keys ...ed25519.PublicKey) (*Reader, error) {
	b := make([]byte, len(first))
	if _, err := io.ReadFull(r, b); err != nil || !strings.HasPrefix(string(b), magic) {
		return nil, readError(err, ErrNoBundle)
	}
	if string(b) != first {
		return nil, ErrNewer
	}
	frame, err := wire.ReadFrame(r, MaxHeader)
	if err != nil {
		return nil, readError(err, ErrDamaged)
	}
	sig := make([]byte, ed25519.SignatureSize)
	if _, err := io.ReadFull(r, sig); err != nil {
		return nil, readError(err, ErrDamaged)
	}
	head := &strings.Builder{}
	head.WriteString(signedAs + first)
	wire.WriteFrame(head, frame) // never fails: it was a frame
	if err := verify([]byte(head.String()), sig, keys); err != nil {
		return nil, err
	}
	d := &Reader{r: r}
	if err := wire.Unmarshal(frame, &d.Header); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return d, nil
}

func verify(head, sig []byte, keys []ed25519.PublicKey) error {
	if string(sig) == string(make([]byte, len(sig))) {
		return ErrUnsigned
	}
	for _, k := range keys {
		if len(k) == ed25519.PublicKeySize && ed25519.Verify(k, head, sig) {
			return nil
		}
	}
	return ErrSigner
}

// readError tells the end of the file, which is the file's fault, from other errors.
func readError(err, ours error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, wire.ErrTooLarge) {
		return ours
	}
	return fmt.Errorf("read update file: %w", err)
}

// Files hands each file to take, in order, and returns nil when all were what the
// header says. Until then what take got is not to be used: a wrong hash shows at the
// end of a file. take need not read to the end.
func (d *Reader) Files(take func(f File, content io.Reader) error) error {
	z, err := gzip.NewReader(d.r)
	if err != nil {
		return readError(err, ErrDamaged)
	}
	defer z.Close()
	z.Multistream(false)
	for _, f := range d.Header.Files {
		c := &content{r: io.LimitReader(z, f.Size), left: f.Size, sum: sha256.New()}
		if err := take(f, c); err != nil {
			return err
		}
		if err := c.end(f.Sum); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if n, err := io.CopyN(io.Discard, z, 1); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more follows its files", ErrDamaged)
	}
	return nil
}

// content is one file while it is read.
type content struct {
	r    io.Reader
	left int64
	sum  hash.Hash
}

// Read implements io.Reader.
func (c *content) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.sum.Write(b[:n])
	c.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && c.left > 0, errors.Is(err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("%w: it ends early", ErrDamaged)
	case errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader):
		return n, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return n, err
}

func (c *content) end(want [32]byte) error {
	if _, err := io.Copy(io.Discard, c); err != nil {
		return err
	}
	if [32]byte(c.sum.Sum(nil)) != want {
		return fmt.Errorf("%w: its hash is another", ErrDamaged)
	}
	return nil
}
