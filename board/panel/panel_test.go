package panel

import (
	"image"
	"image/color"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// board is a matrix like a chess board.
type board int

func (b board) Size() int { return int(b) }
func (b board) Black(x, y int) bool {
	return x >= 0 && y >= 0 && x < int(b) && y < int(b) && (x+y)%2 == 0
}

func painter(t *testing.T) *Painter {
	t.Helper()
	p, err := NewPainter()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func full() Screen {
	return Screen{
		Name: "Mill Lane", State: "The box has found oak of the circle Hühner. Your friend has to say yes there. Nothing is lost.",
		Words: []string{"doughnut", "alarm", "scooter", "lobster"}, Address: Labelled{"On your phone, at home, open", "http://192.168.178.141:8080/"}, Code: Labelled{"Code of this box", "12345678"}, QR: board(25),
	}
}

// inked counts the pixels of a part of a picture that are not paper.
func inked(img *image.RGBA, r image.Rectangle) (n int) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if img.RGBAAt(x, y) != color.RGBAModel.Convert(paper()) {
				n++
			}
		}
	}
	return n
}

func TestEverySizeHasAllOnIt(t *testing.T) {
	p := painter(t)
	for _, size := range []image.Point{{320, 200}, {640, 480}, {800, 480}, {1024, 600}, {1920, 1080}, {3840, 2160}, {480, 800}} {
		img, err := p.Draw(full(), size.X, size.Y)
		if err != nil || img.Bounds().Size() != size {
			t.Fatalf("%v: %v, %v", size, img.Bounds(), err)
		}
		margin := size.Y / 16
		for _, edge := range []image.Rectangle{ // nothing runs out of the screen
			image.Rect(0, 0, size.X, margin/2), image.Rect(0, 0, margin-1, size.Y),
			image.Rect(0, size.Y-margin/2, size.X, size.Y), image.Rect(size.X-margin/2, 0, size.X, size.Y),
		} {
			if n := inked(img, edge); n != 0 {
				t.Errorf("%v: %d pixels in the margin %v", size, n, edge)
			}
		}
		less := full()
		less.Code = Labelled{}
		without, err := p.Draw(less, size.X, size.Y)
		if err != nil {
			t.Fatal(err)
		}
		if size.X >= 640 && size.X > size.Y && inked(img, img.Bounds()) <= inked(without, img.Bounds()) {
			t.Errorf("%v: the code has no room", size)
		}
	}
}

// Sizes that no screen has are brought into bounds, and nothing needs to be known.
func TestBoundsOfAScreen(t *testing.T) {
	p := painter(t)
	for _, c := range []struct{ ask, want image.Point }{
		{image.Pt(0, -5), image.Pt(MinWidth, MinHeight)}, {image.Pt(1<<20, 1<<20), image.Pt(MaxWidth, MaxHeight)},
	} {
		img, err := p.Draw(Screen{}, c.ask.X, c.ask.Y)
		if err != nil || img.Bounds().Size() != c.want {
			t.Errorf("%v: got %v, %v", c.ask, img.Bounds(), err)
		}
	}
	long := Screen{Name: strings.Repeat("ü", 5000), State: strings.Repeat("word ", 5000), Address: Labelled{"x", strings.Repeat("x", 5000)}, QR: board(177)}
	if _, err := p.Draw(long, 640, 480); err != nil {
		t.Error(err)
	}
}

// A reader needs whole modules and the white border around them.
func TestTheCodeIsDrawnModuleByModule(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 640, 480))
	m := board(25)
	left := drawCode(img, m, 30)
	side := m.Size() + 2*quiet
	scale := (640 - 30 - left) / side
	top := (480 - side*scale) / 2
	if scale < 5 || left+side*scale != 610 {
		t.Fatalf("modules of %d pixels from %d", scale, left)
	}
	for y := range side {
		for x := range side {
			want := color.RGBA{0xff, 0xff, 0xff, 0xff}
			if m.Black(x-quiet, y-quiet) {
				want = color.RGBA{0, 0, 0, 0xff}
			}
			for _, at := range []image.Point{{0, 0}, {scale - 1, scale - 1}} {
				if got := img.RGBAAt(left+x*scale+at.X, top+y*scale+at.Y); got != want {
					t.Fatalf("module %d,%d is %v, want %v", x, y, got, want)
				}
			}
		}
	}
}

func TestWrap(t *testing.T) {
	face, err := opentype.NewFace(painter(t).regular, &opentype.FaceOptions{Size: 10, DPI: 72})
	if err != nil {
		t.Fatal(err)
	}
	d := &font.Drawer{Face: face}
	width := d.MeasureString("three brown")
	got := wrap(d, "three brown hens  äääääääääääääääääääääääää x", width)
	if got[0] != "three brown" || got[1] != "hens" || len(got) < 4 || strings.Join(got[2:], "") != strings.Repeat("ä", 25)+"x" && strings.Join(got[2:], " ") == "" {
		t.Errorf("got %q", got)
	}
	for _, line := range got {
		if d.MeasureString(line) > width {
			t.Errorf("%q is wider than the line", line)
		}
	}
	if got := wrap(d, "ab", fixed.I(1)); strings.Join(got, "") != "ab" {
		t.Errorf("in no room at all: %q", got)
	}
}
