package qr

import (
	"errors"
	"fmt"
	"io"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"redhen/provision/picture"
)

// MaxBytes is how large a photo may be.
const MaxBytes = picture.MaxBytes

// What Decode refuses.
var (
	ErrTooLarge = picture.ErrTooLarge
	ErrFormat   = picture.ErrFormat
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
	img, err := picture.Decode(b)
	if err != nil {
		return "", err
	}
	return find(grayOf(img))
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
