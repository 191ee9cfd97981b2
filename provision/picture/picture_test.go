package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"
)

func encoded(t testing.TB, encode func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gray() image.Image { return image.NewGray(image.Rect(0, 0, 40, 30)) }

func ajpeg(t testing.TB) []byte {
	return encoded(t, func(w io.Writer) error { return jpeg.Encode(w, gray(), nil) })
}

func apng(t testing.TB) []byte {
	return encoded(t, func(w io.Writer) error { return png.Encode(w, gray()) })
}

// claims is a small PNG that claims to be large.
func claims(t testing.TB, width, height uint32) []byte {
	b := apng(t)
	binary.BigEndian.PutUint32(b[16:], width)
	binary.BigEndian.PutUint32(b[20:], height)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestDecode(t *testing.T) {
	for name, b := range map[string][]byte{"JPEG": ajpeg(t), "PNG": apng(t), "GIF": encoded(t, func(w io.Writer) error { return gif.Encode(w, gray(), nil) })} {
		img, err := Decode(b)
		if err != nil || img.Bounds() != image.Rect(0, 0, 40, 30) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":          {nil, ErrFormat},
		"a script":         {[]byte("<svg onload=alert(1)>"), ErrFormat},
		"a cut JPEG":       {ajpeg(t)[:100], ErrFormat},
		"a cut PNG":        {apng(t)[:40], ErrFormat},
		"a bitmap":         {[]byte("BM" + strings.Repeat("\x00", 100)), ErrFormat},
		"many pixels":      {claims(t, 10_000, 5_001), ErrTooLarge},
		"very many pixels": {claims(t, 1_000_000, 1_000_000), ErrTooLarge},
		"many bytes":       {append(apng(t), make([]byte, MaxBytes)...), ErrTooLarge},
	} {
		if _, err := Decode(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v; want %v", name, err, c.want)
		}
	}
}

// A progressive JPEG keeps its whole picture in memory several times.
func TestProgressive(t *testing.T) {
	plain := ajpeg(t)
	frame := bytes.Index(plain, []byte{0xff, 0xc0})
	if frame < 0 || progressive(plain) {
		t.Fatal("a plain JPEG passes for a progressive one")
	}
	other := bytes.Clone(plain)
	other[frame+1] = 0xc2
	filled := append(bytes.Clone(other[:frame]), append([]byte{0xff, 0xff, 0xff}, other[frame:]...)...)
	hidden := append([]byte{0xff, 0xd8, 0xff, 0xfe, 0, 6, 0xff, 0xc0, 0, 0}, other[2:]...) // a comment that looks like a frame
	for name, b := range map[string][]byte{"frame": other, "filled": filled, "hidden": hidden, "cut": plain[:frame], "restart": append([]byte{0xff, 0xd8, 0xff, 0xd0}, other[2:]...)} {
		if !progressive(b) {
			t.Errorf("%s: not noticed", name)
		}
	}
	large := bytes.Clone(other)
	binary.BigEndian.PutUint16(large[frame+5:], 4000)
	binary.BigEndian.PutUint16(large[frame+7:], 4000)
	if _, err := Decode(large); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large one: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(ajpeg(f))
	f.Add(apng(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err == nil && c.Width*c.Height > 1<<18 {
			return // right, and slow
		}
		Decode(b) // must return
	})
}
