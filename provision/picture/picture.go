// Package picture decodes pictures that strangers may have made, within limits of
// memory: JPEG, PNG and GIF.
package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
)

// Limits of a picture. One of deep colour, or a progressive JPEG, takes several times
// the memory and gets a smaller share of pixels.
const (
	MaxBytes  = 20 << 20
	MaxPixels = 50_000_000

	maxCostlyPixels = 13_000_000
)

// What Decode refuses.
var (
	ErrTooLarge = errors.New("picture is too large")
	ErrFormat   = errors.New("not a JPEG, PNG or GIF picture")
)

// format is one kind of picture. Only these decoders are called, whatever others
// the program has registered.
type format struct {
	magic  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

func formats() []format {
	return []format{
		{"\xff\xd8\xff", jpeg.DecodeConfig, jpeg.Decode},
		{"\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
		{"GIF8", gif.DecodeConfig, gif.Decode},
	}
}

// Decode decodes a picture. It refuses with ErrTooLarge or ErrFormat, before it takes
// memory for one that is beyond the limits: a picture takes 200 MB at most.
func Decode(b []byte) (image.Image, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("%w: over %d MB", ErrTooLarge, MaxBytes>>20)
	}
	for _, f := range formats() {
		if !bytes.HasPrefix(b, []byte(f.magic)) {
			continue
		}
		c, err := f.config(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrFormat, err)
		}
		limit := MaxPixels
		if costly(b, c.ColorModel) {
			limit = maxCostlyPixels
		}
		if c.Width <= 0 || c.Height <= 0 || c.Width > limit/c.Height {
			return nil, fmt.Errorf("%w: %d by %d pixels", ErrTooLarge, c.Width, c.Height)
		}
		img, err := f.decode(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrFormat, err)
		}
		return img, nil
	}
	return nil, ErrFormat
}

// costly tells pictures that need more than 4 bytes a pixel while they are decoded.
func costly(b []byte, m color.Model) bool {
	switch m {
	case color.RGBA64Model, color.NRGBA64Model, color.CMYKModel:
		return true
	}
	return progressive(b)
}

// progressive walks the segments of a JPEG to its frame header: all but SOF0 and
// SOF1 keep the coefficients of the whole picture in memory (ITU T.81, B.1.1.3).
func progressive(b []byte) bool {
	if !bytes.HasPrefix(b, []byte("\xff\xd8")) {
		return false
	}
	for b = b[2:]; len(b) >= 4; {
		marker := b[1]
		switch {
		case b[0] != 0xff:
			b = b[1:] // the decoder skips to the next marker, so do we
			continue
		case marker == 0xff:
			b = b[1:]
			continue
		case marker == 0x00 || marker == 0x01 || 0xd0 <= marker && marker <= 0xd7:
			b = b[2:]
			continue
		case marker == 0xc0 || marker == 0xc1:
			return false
		case 0xc2 <= marker && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			return true
		}
		n := 2 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			break
		}
		b = b[n:]
	}
	return true // no frame header: assume the worst
}
