package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redhen/images/layout"
)

// key is a signer of tests.
func key(name string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(sum[:])
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// parts are the files of a small system.
func parts() map[string]string {
	return map[string]string{
		"root":                   strings.Repeat("squashfs", 9000),
		"boot/vmlinuz":           strings.Repeat("kernel", 5000),
		"boot/overlays/hat.dtbo": "overlay",
		"boot/empty":             "",
	}
}

func header(files map[string]string) Header {
	h := Header{
		Board: layout.AMD64, Release: "0.2", Number: 7, Level: 1,
		Lines: Lines{UEFIA: "root=a", UEFIB: "root=b", PiB: "pi=b"},
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h.Files = append(h.Files, File{Name: name, Size: int64(len(files[name])), Sum: sha256.Sum256([]byte(files[name]))})
	}
	return h
}

func written(t testing.TB, h Header, files map[string]string, k ed25519.PrivateKey) []byte {
	t.Helper()
	var b bytes.Buffer
	err := Write(&b, h, k, func(name string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(files[name])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read returns the files of a bundle.
func read(b []byte, keys ...ed25519.PublicKey) (*Reader, map[string]string, error) {
	r, err := Open(bytes.NewReader(b), keys...)
	if err != nil {
		return nil, nil, err
	}
	got := map[string]string{}
	err = r.Files(func(f File, content io.Reader) error {
		all, err := io.ReadAll(content)
		got[f.Name] = string(all)
		return err
	})
	return r, got, err
}

func TestReadAsWritten(t *testing.T) {
	h := header(parts())
	b := written(t, h, parts(), key("us"))
	r, got, err := read(b, public(key("others")), public(key("us")))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(h, r.Header); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(parts(), got); d != "" {
		t.Error(d)
	}
	if r.Lines.UEFI(layout.A) != "root=a" || r.Lines.UEFI(layout.B) != "root=b" || r.Lines.Pi(layout.A) != "" || r.Lines.Pi(layout.B) != "pi=b" {
		t.Error("the command lines are mixed up")
	}
	if !bytes.Equal(b, written(t, h, parts(), key("us"))) {
		t.Error("two bundles of the same files differ")
	}
}

func TestOnlyOurSignatureCounts(t *testing.T) {
	h := header(parts())
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"unsigned", written(t, h, parts(), nil), ErrUnsigned},
		{"somebody else's", written(t, h, parts(), key("them")), ErrSigner},
		{"a picture", []byte("\x89PNG\r\n\x1a\n and so on, and so on"), ErrNoBundle},
		{"nothing", nil, ErrNoBundle},
		{"of the future", []byte("redhen update 2\n"), ErrNewer},
		{"cut in its head", written(t, h, parts(), key("us"))[:100], ErrDamaged},
		{"an endless head", []byte(first + "\x7f\xff\xff\xff"), ErrDamaged},
	} {
		if _, _, err := read(c.b, public(key("us"))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, _, err := read(written(t, h, parts(), key("us"))); !errors.Is(err, ErrSigner) {
		t.Errorf("a box that trusts nobody: %v, want ErrSigner", err)
	}
}

func TestNoFlippedByteGetsThrough(t *testing.T) {
	files := map[string]string{"root": "r", "boot/vmlinuz": "a kernel"}
	whole := written(t, header(files), files, key("us"))
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		_, got, err := read(b, public(key("us")))
		if err == nil && !maps.Equal(got, files) { // padding of the gzip stream means nothing
			t.Errorf("byte %d of %d was flipped and nothing noticed: %v", i, len(b), got)
		}
	}
	for i := range whole {
		if _, _, err := read(whole[:i], public(key("us"))); err == nil {
			t.Errorf("cut after %d of %d bytes and nothing noticed", i, len(whole))
		}
	}
}

func TestFilesThatNobodyReadsAreVerifiedToo(t *testing.T) {
	h := header(parts())
	h.Files[2].Sum[0]++
	var b bytes.Buffer
	if err := Write(&b, h, key("us"), func(name string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(parts()[name])), nil
	}); err == nil {
		t.Error("a bundle was written whose list is wrong")
	}
	good := written(t, header(parts()), parts(), key("us"))
	r, err := Open(bytes.NewReader(good), public(key("us")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Files[1].Sum[0]++
	if err := r.Files(func(File, io.Reader) error { return nil }); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

func TestErrorOfTheTakerEndsIt(t *testing.T) {
	full := errors.New("disk full")
	r, err := Open(bytes.NewReader(written(t, header(parts()), parts(), key("us"))), public(key("us")))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Files(func(File, io.Reader) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestListsThatMakeNoSlotAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(h *Header){
		"other board":     func(h *Header) { h.Board = "toaster" },
		"no name":         func(h *Header) { h.Release = "" },
		"no number":       func(h *Header) { h.Number = 0 },
		"no root":         func(h *Header) { h.Files = h.Files[:3] },
		"upwards":         func(h *Header) { h.Files[0].Name = "boot/../../config.txt" },
		"outside":         func(h *Header) { h.Files[0].Name = "loader/loader.conf" },
		"absolute":        func(h *Header) { h.Files[0].Name = "boot//etc" },
		"a stream":        func(h *Header) { h.Files[0].Name = "boot/x:y" },
		"twice":           func(h *Header) { h.Files[0].Name = "boot/VMLINUZ" },
		"negative":        func(h *Header) { h.Files[0].Size = -1 },
		"too large":       func(h *Header) { h.Files[3].Size = layout.RootSize + 1 },
		"too much":        func(h *Header) { h.Files[0].Size = MaxBoot },
		"two lines":       func(h *Header) { h.Lines.UEFIA = "a\nlinux /evil" },
		"an endless line": func(h *Header) { h.Lines.PiB = strings.Repeat("x", maxLine+1) },
	} {
		h := header(parts())
		spoil(&h)
		if err := h.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	files := map[string]string{"root": "r", "boot/vmlinuz": "a kernel"}
	f.Add(written(f, header(files), files, key("us")))
	f.Add(written(f, header(files), files, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, got, err := read(b, public(key("us")))
		if err != nil {
			return
		}
		if err := r.check(); err != nil {
			t.Errorf("a list was accepted that is none: %v", err)
		}
		for _, x := range r.Header.Files {
			if sha256.Sum256([]byte(got[x.Name])) != x.Sum {
				t.Errorf("%s was accepted with another hash", x.Name)
			}
		}
	})
}

// FuzzHeader gets past the signature.
func FuzzHeader(f *testing.F) {
	files := map[string]string{"root": "r", "boot/vmlinuz": "a kernel"}
	whole := written(f, header(files), files, nil)
	f.Add(whole[len(first) : len(whole)-64])
	f.Fuzz(func(t *testing.T, frame []byte) {
		head := append([]byte(first), frame...)
		if len(frame) < 4 {
			return
		}
		sig := ed25519.Sign(key("us"), append([]byte(signedAs), head...))
		d, err := Open(io.MultiReader(bytes.NewReader(head), bytes.NewReader(sig)), public(key("us")))
		if err == nil && d.check() != nil {
			t.Error("a list was accepted that is none")
		}
	})
}
