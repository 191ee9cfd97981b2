package panel

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"
)

func xrgb(w, h int) Format {
	return Format{Width: w, Height: h, Stride: w * 4, Bits: 32, Red: Field{16, 8}, Green: Field{8, 8}, Blue: Field{0, 8}}
}

func TestPixelsOfEveryKind(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 1, 1))
	img.SetRGBA(0, 0, color.RGBA{0xff, 0x80, 0x08, 0xff})
	for name, c := range map[string]struct {
		f    Format
		want []byte
	}{
		"XRGB8888": {xrgb(1, 1), []byte{0x08, 0x80, 0xff, 0}},
		"XBGR8888": {Format{Width: 1, Height: 1, Stride: 4, Bits: 32, Red: Field{0, 8}, Green: Field{8, 8}, Blue: Field{16, 8}}, []byte{0xff, 0x80, 0x08, 0}},
		"RGB888":   {Format{Width: 1, Height: 1, Stride: 3, Bits: 24, Red: Field{16, 8}, Green: Field{8, 8}, Blue: Field{0, 8}}, []byte{0x08, 0x80, 0xff}},
		"RGB565":   {Format{Width: 1, Height: 1, Stride: 2, Bits: 16, Red: Field{11, 5}, Green: Field{5, 6}, Blue: Field{0, 5}}, []byte{0x01, 0xfc}},
	} {
		if err := c.f.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := c.f.Row(img, 0); !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %x, want %x", name, got, c.want)
		}
	}
}

func TestFormatsThatNoScreenHas(t *testing.T) {
	for name, spoil := range map[string]func(*Format){
		"no width":        func(f *Format) { f.Width = 0 },
		"too high":        func(f *Format) { f.Height = 1 << 20 },
		"a palette":       func(f *Format) { f.Bits = 8 },
		"short rows":      func(f *Format) { f.Stride = 39 },
		"no green":        func(f *Format) { f.Green.Length = 0 },
		"ten bits of red": func(f *Format) { f.Red.Length = 10 },
		"beyond a pixel":  func(f *Format) { f.Red.Offset = 30 },
		"before it":       func(f *Format) { f.Start = -1 },
	} {
		f := xrgb(10, 10)
		spoil(&f)
		if err := f.validate(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file stands for the framebuffer: the kernel takes the same writes.
func TestAPictureIsWrittenWhereTheScreenSees(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fb")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &Frame{file: file, format: xrgb(4, 3)}
	f.format.Stride, f.format.Start = 20, 20 // rows have a rest, and the screen shows the second page
	img := image.NewRGBA(image.Rect(0, 0, 3, 2))
	img.SetRGBA(2, 1, color.RGBA{1, 2, 3, 0xff})
	if err := f.Show(img); err != nil {
		t.Fatal(err)
	}
	if w, h := f.Size(); w != 4 || h != 3 {
		t.Errorf("size %d×%d", w, h)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 20+2*20+16) // rows beyond the picture are black
	copy(want[20+20+2*4:], []byte{3, 2, 1, 0})
	if !bytes.Equal(got, want) {
		t.Errorf("got %x\nwant %x", got, want)
	}
	if err := f.Show(img); err == nil {
		t.Error("drawn on a closed screen")
	}
}

func TestABoxWithoutAScreen(t *testing.T) {
	if _, err := os.Stat("/dev/fb0"); err == nil {
		t.Skip("this machine has a screen, which a test leaves alone")
	}
	if _, err := OpenFrame(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
