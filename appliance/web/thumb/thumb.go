// Package thumb makes small pictures of pictures, for lists. Most photos bring one
// along (Exif); all others are decoded, within limits.
package thumb

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"

	"redhen/provision/picture"
)

// Side is the length of a small picture's sides, in pixels.
const Side = 128

const quality = 80

// Of makes a small picture, a square JPEG, of a JPEG, PNG or GIF. It may take 200 MB of
// memory and a second: callers run one at a time. Its errors are those of package picture.
func Of(b []byte) ([]byte, error) {
	turn, within := exif(b)
	img, err := picture.Decode(within)
	if err != nil || tiny(img) {
		if img, err = picture.Decode(b); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, square(img, turn), &jpeg.Options{Quality: quality}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// tiny tells pictures that would have to be enlarged.
func tiny(img image.Image) bool { return min(img.Bounds().Dx(), img.Bounds().Dy()) < Side*3/4 }

// square cuts the middle out of a picture, upright, Side pixels wide, on white.
func square(img image.Image, turn int) image.Image {
	b := img.Bounds()
	side := min(b.Dx(), b.Dy())
	left, top := b.Min.X+(b.Dx()-side)/2, b.Min.Y+(b.Dy()-side)/2
	out := image.NewRGBA(image.Rect(0, 0, Side, Side))
	for y := range Side {
		for x := range Side {
			u, v := turned(x, y, turn)
			area := image.Rect(left+u*side/Side, top+v*side/Side, left+(u+1)*side/Side, top+(v+1)*side/Side)
			out.SetRGBA(x, y, mean(img, area))
		}
	}
	return out
}

// turned is where a pixel of the upright picture lies in the one that is stored; turn
// is the orientation of Exif, 1 to 8.
func turned(x, y, turn int) (u, v int) {
	const last = Side - 1
	switch turn {
	case 2:
		return last - x, y
	case 3:
		return last - x, last - y
	case 4:
		return x, last - y
	case 5:
		return y, x
	case 6:
		return y, last - x
	case 7:
		return last - y, last - x
	case 8:
		return last - y, x
	}
	return x, y
}

// samples is how many pixels of an area are looked at in each direction.
const samples = 4

// mean is the colour of an area, on white; an empty one has that of its corner.
func mean(img image.Image, area image.Rectangle) color.RGBA {
	var r, g, b, n uint32
	dx, dy := max(1, area.Dx()/samples), max(1, area.Dy()/samples)
	for y := area.Min.Y; y < max(area.Max.Y, area.Min.Y+1); y += dy {
		for x := area.Min.X; x < max(area.Max.X, area.Min.X+1); x += dx {
			cr, cg, cb, ca := img.At(x, y).RGBA()
			white := 0xffff - ca
			r, g, b, n = r+(cr+white)>>8, g+(cg+white)>>8, b+(cb+white)>>8, n+1
		}
	}
	return color.RGBA{uint8(r / n), uint8(g / n), uint8(b / n), 255}
}
