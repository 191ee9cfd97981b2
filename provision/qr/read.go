package qr

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

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// Limits of a photo. A picture of deep colour, or a progressive JPEG, takes
// several times the memory and gets a smaller share of pixels.
const (
	MaxBytes  = 20 << 20
	MaxPixels = 50_000_000

	maxCostlyPixels = 13_000_000
)

// What Decode refuses.
var (
	ErrTooLarge = errors.New("picture is too large")
	ErrFormat   = errors.New("not a JPEG, PNG or GIF picture")
	ErrNoCode   = errors.New("no QR code found in the picture")
)

// Decode finds a QR code in a photo (JPEG, PNG or GIF, within the limits) and
// returns its text. It may take 200 MB of memory and a second or more: callers
// run one at a time.
func Decode(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return "", fmt.Errorf("read picture: %w", err)
	}
	if len(b) > MaxBytes {
		return "", fmt.Errorf("%w: over %d MB", ErrTooLarge, MaxBytes>>20)
	}
	img, err := decodeImage(b)
	if err != nil {
		return "", err
	}
	return find(grayOf(img))
}

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

func decodeImage(b []byte) (image.Image, error) {
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

// find looks for a code at several sizes: a large one is found in a small
// picture, where blur and noise are gone, a small one only in a large picture.
func find(g gray) (string, error) {
	g = g.stretched()
	tried := map[int]bool{}
	for _, target := range []int{1000, 600, 1700, 2600, 4100} {
		factor := max(1, (max(g.width, g.height)+target-1)/target)
		if tried[factor] {
			continue
		}
		tried[factor] = true
		if text, ok := look(g.shrunk(factor)); ok {
			return text, nil
		}
	}
	if max(g.width, g.height) < 400 {
		if text, ok := look(g.enlarged(4)); ok {
			return text, nil
		}
	}
	return "", ErrNoCode
}

// look tries the ways of telling black from white, dark on light and light on dark.
func look(g gray) (string, bool) {
	for _, g := range []gray{g, g.inverted()} {
		source, err := g.luminance()
		if err != nil {
			return "", false
		}
		for _, b := range []gozxing.Binarizer{gozxing.NewHybridBinarizer(source), gozxing.NewGlobalHistgramBinarizer(source)} {
			if text, ok := read(b); ok {
				return text, true
			}
		}
	}
	return "", false
}

// maxCenters bounds the would-be corners of a code in one look. gozxing compares
// every three of them: a picture full of corners would keep a box busy for hours.
const maxCenters = 256

// errTooMany is what counting throws out of gozxing, which can only be stopped so.
var errTooMany = errors.New("too many corners")

func read(b gozxing.Binarizer) (text string, ok bool) {
	defer func() {
		if r := recover(); r != nil && r != errTooMany {
			panic(r)
		}
	}()
	bitmap, err := gozxing.NewBinaryBitmap(b)
	if err != nil {
		return "", false
	}
	centers := 0
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{
		gozxing.DecodeHintType_TRY_HARDER: true,
		gozxing.DecodeHintType_NEED_RESULT_POINT_CALLBACK: gozxing.ResultPointCallback(func(gozxing.ResultPoint) {
			if centers++; centers > maxCenters {
				panic(errTooMany)
			}
		}),
	})
	if err != nil {
		return "", false
	}
	return result.GetText(), true
}
