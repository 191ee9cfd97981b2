// Package qr draws QR codes for terminals and pages, and reads them from photos.
// It is pure.
package qr

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"rsc.io/qr/coding"
)

// quiet is the white border that readers need, in modules (ISO/IEC 18004).
const quiet = 4

// ErrTooLong says that a text does not fit into any QR code.
var ErrTooLong = errors.New("text is too long for a QR code")

// Code is a drawn QR code of error correction level M. The zero Code is empty.
type Code struct {
	size  int    // modules on a side, without the border
	black []bool // row by row
}

// Draw encodes text, a link with a ticket in as few modules as it can.
func Draw(text string) (Code, error) {
	segments := split(text)
	for v := coding.Version(coding.MinVersion); v <= coding.MaxVersion; v++ {
		if bits(segments, v) <= v.DataBytes(coding.M)*8 {
			return best(segments, v)
		}
	}
	return Code{}, fmt.Errorf("%w: %d bytes", ErrTooLong, len(text))
}

// split takes the capital letters and digits at the end of text, where a ticket
// stands, for themselves: they need 5½ bits each instead of 8.
func split(text string) []coding.Encoding {
	i := len(text)
	for i > 0 && coding.Alpha(text[i-1:i]).Check() == nil {
		i--
	}
	whole := []coding.Encoding{coding.String(text)}
	if i == 0 && text != "" {
		return []coding.Encoding{coding.Alpha(text)}
	}
	parts := []coding.Encoding{coding.String(text[:i]), coding.Alpha(text[i:])}
	if bits(parts, coding.MaxVersion) < bits(whole, coding.MaxVersion) {
		return parts
	}
	return whole
}

func bits(segments []coding.Encoding, v coding.Version) (n int) {
	for _, s := range segments {
		n += s.Bits(v)
	}
	return n
}

// best draws with each of the eight masks and keeps the one that is easiest to read.
func best(segments []coding.Encoding, v coding.Version) (Code, error) {
	var best Code
	for mask := range coding.Mask(8) {
		plan, err := coding.NewPlan(v, coding.M, mask)
		if err != nil {
			return Code{}, fmt.Errorf("plan QR code: %w", err)
		}
		drawn, err := plan.Encode(segments...)
		if err != nil {
			return Code{}, fmt.Errorf("draw QR code: %w", err)
		}
		c := Code{size: drawn.Size, black: make([]bool, drawn.Size*drawn.Size)}
		for i := range c.black {
			c.black[i] = drawn.Black(i%c.size, i/c.size)
		}
		if best.size == 0 || c.penalty() < best.penalty() {
			best = c
		}
	}
	return best, nil
}

// Size returns the modules on a side, without the white border.
func (c Code) Size() int { return c.size }

// Black reports whether the module at column x, row y is black. All outside is white.
func (c Code) Black(x, y int) bool {
	return 0 <= x && x < c.size && 0 <= y && y < c.size && c.black[y*c.size+x]
}

// Terminal returns lines of half blocks, black on white by the terminal's
// numbered colours whatever its theme, border included.
func (c Code) Terminal() string {
	const blackOnWhite, reset = "\x1b[38;5;16;48;5;231m", "\x1b[0m\n"
	var b strings.Builder
	for y := -quiet; y < c.size+quiet; y += 2 {
		b.WriteString(blackOnWhite)
		for x := -quiet; x < c.size+quiet; x++ {
			b.WriteRune(halves(c.Black(x, y), c.Black(x, y+1)))
		}
		b.WriteString(reset)
	}
	return b.String()
}

func halves(top, bottom bool) rune {
	switch {
	case top && bottom:
		return '█'
	case top:
		return '▀'
	case bottom:
		return '▄'
	}
	return ' '
}

// SVG returns a picture without a size of its own, border included: the page says how large it is.
func (c Code) SVG() []byte {
	var b bytes.Buffer
	side := c.size + 2*quiet
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, side, side)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, side, side)
	for y := range c.size {
		for x := 0; x < c.size; x++ {
			run := 0
			for c.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.Bytes()
}

// PNG returns a picture of scale pixels a module (1 to 32), border included.
func (c Code) PNG(scale int) []byte {
	scale = min(max(scale, 1), 32)
	side := (c.size + 2*quiet) * scale
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if c.Black(x/scale-quiet, y/scale-quiet) {
				img.Pix[y*img.Stride+x] = 1
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // a sound image into memory
	}
	return b.Bytes()
}
