// Package panel is what a box shows by itself: a screen on its HDMI port, and its
// activity light. Drawing is pure; the rest writes into files of the kernel.
package panel

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Matrix is a QR code, without its white border.
type Matrix interface {
	// Size is the number of modules on a side.
	Size() int
	// Black reports whether the module at column x, row y is black.
	Black(x, y int) bool
}

// Screen is what the screen shows. Every field may be empty.
type Screen struct {
	Name    string   // of the box and its house
	State   string   // a sentence or some
	Words   []string // that both sides of a pairing show
	Address Labelled // of the pages
	Code    Labelled // that claims the box
	QR      Matrix   // opens the pages; nil: none
}

// Labelled is a value and what stands above it. Without a value neither is shown.
type Labelled struct{ Label, Value string }

// Limits of a screen, in pixels. A smaller one cannot be read, a larger one is drawn
// in its upper left corner.
const (
	MinWidth, MinHeight = 320, 200
	MaxWidth, MaxHeight = 3840, 2160

	quiet    = 4    // white modules around a QR code (ISO/IEC 18004)
	maxText  = 2000 // bytes of one field
	maxLines = 12   // of the state
)

// paper, ink, soft and red are the colours of the pages.
func paper() color.Color { return color.RGBA{0xfb, 0xf7, 0xef, 0xff} }
func ink() color.Color   { return color.RGBA{0x22, 0x1d, 0x18, 0xff} }
func soft() color.Color  { return color.RGBA{0x6b, 0x60, 0x55, 0xff} }
func red() color.Color   { return color.RGBA{0xa3, 0x2f, 0x26, 0xff} }

// Painter draws screens. It is safe for concurrent use.
type Painter struct {
	mu      sync.Mutex // one picture at a time: a large one takes 32 MB
	regular *opentype.Font
	bold    *opentype.Font
}

// NewPainter returns a Painter.
func NewPainter() (*Painter, error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("panel: %w", err)
	}
	bold, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return nil, fmt.Errorf("panel: %w", err)
	}
	return &Painter{regular: regular, bold: bold}, nil
}

// Draw returns a picture of the screen, at least as large as can be read.
func (p *Painter) Draw(s Screen, width, height int) (*image.RGBA, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	width, height = min(max(width, MinWidth), MaxWidth), min(max(height, MinHeight), MaxHeight)
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(img, img.Bounds(), image.NewUniform(paper()), image.Point{}, draw.Src)
	margin := height / 16
	right := width - margin
	if s.QR != nil {
		right = drawCode(img, s.QR, margin) - margin
	}
	c := &column{img: img, left: margin, right: right, y: margin, bottom: height - margin}
	unit := min(height/14, (right-margin)/9)
	err := firstOf(
		func() error { return c.text(p.bold, unit*5/4, red(), s.Name, 2) },
		func() error { return c.text(p.regular, unit*2/3, ink(), s.State, maxLines) },
		func() error { return c.text(p.bold, unit*2/3, ink(), strings.Join(s.Words, "  ·  "), 3) },
		func() error { return c.labelled(p, unit, s.Address) },
		func() error { return c.labelled(p, unit, s.Code) },
	)
	return img, err
}

func firstOf(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// drawCode draws the code at the right side, and returns where its white border begins.
// It takes half of the height, and two fifths of the width at most.
func drawCode(img *image.RGBA, m Matrix, margin int) (left int) {
	b := img.Bounds()
	side := m.Size() + 2*quiet
	scale := max(1, min((b.Dy()-2*margin)*2/3, b.Dx()*2/5)/side)
	left = b.Dx() - margin - side*scale
	top := max(margin, (b.Dy()-side*scale)/2)
	draw.Draw(img, image.Rect(left, top, left+side*scale, top+side*scale), image.White, image.Point{}, draw.Src)
	for y := range m.Size() {
		for x := range m.Size() {
			if m.Black(x, y) {
				at := image.Pt(left+(x+quiet)*scale, top+(y+quiet)*scale)
				draw.Draw(img, image.Rectangle{at, at.Add(image.Pt(scale, scale))}, image.Black, image.Point{}, draw.Src)
			}
		}
	}
	return left
}

// column is where text goes, from above to below.
type column struct {
	img         *image.RGBA
	left, right int
	y, bottom   int
}

func (c *column) labelled(p *Painter, unit int, what Labelled) error {
	if what.Value == "" {
		return nil
	}
	if err := c.text(p.regular, unit/2, soft(), what.Label, 1); err != nil {
		return err
	}
	return c.text(p.bold, unit, ink(), what.Value, 2)
}

// text writes lines of a height in pixels, as many as fit, and leaves a gap below.
func (c *column) text(f *opentype.Font, size int, ink color.Color, text string, lines int) error {
	if text == "" || size < 4 {
		return nil
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return fmt.Errorf("panel: %w", err)
	}
	defer face.Close()
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(ink), Face: face}
	for i, line := range wrap(&d, text[:min(len(text), maxText)], fixed.I(c.right-c.left)) {
		if i == lines || c.y+size > c.bottom {
			break
		}
		d.Dot = fixed.P(c.left, c.y+size)
		d.DrawString(line)
		c.y += size * 5 / 4
	}
	c.y += size / 2
	return nil
}

// wrap breaks a text into lines between words, and a word that is too long anywhere.
func wrap(d *font.Drawer, text string, width fixed.Int26_6) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && d.MeasureString(line+" "+word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for line = word; d.MeasureString(line) > width; {
			n := fitting(d, line, width)
			lines, line = append(lines, line[:n]), line[n:]
		}
	}
	return append(lines, line)
}

// fitting is how many bytes of a word fit, one letter at least.
func fitting(d *font.Drawer, word string, width fixed.Int26_6) (n int) {
	for i := range word {
		if i > 0 && d.MeasureString(word[:i]) > width {
			break
		}
		n = i
	}
	if n == 0 {
		return len(word)
	}
	return n
}
