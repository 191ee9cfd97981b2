package qr

import (
	"image"
	"image/color"
	"image/draw"

	"github.com/makiuchi-d/gozxing"
)

// gray is a picture of bytes, 0 black to 255 white, row by row.
type gray struct {
	width, height int
	pix           []byte
}

func newGray(width, height int) gray {
	return gray{width, height, make([]byte, width*height)}
}

// grayOf makes a gray picture. What is transparent becomes white, as on a page.
func grayOf(img image.Image) gray {
	size := img.Bounds().Size()
	if y, ok := img.(*image.YCbCr); ok {
		return crop(y.Y[y.YOffset(y.Rect.Min.X, y.Rect.Min.Y):], y.YStride, size)
	}
	g := image.NewGray(image.Rectangle{Max: size})
	draw.Draw(g, g.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(g, g.Rect, img, img.Bounds().Min, draw.Over)
	return gray{size.X, size.Y, g.Pix}
}

func crop(pix []byte, stride int, size image.Point) gray {
	g := newGray(size.X, size.Y)
	for y := range size.Y {
		copy(g.pix[y*size.X:(y+1)*size.X], pix[y*stride:])
	}
	return g
}

// stretched spreads the middle 98 % of the tones over the whole range: a photo
// taken in the dark becomes one with black and white in it.
func (g gray) stretched() gray {
	var count [256]int
	for _, p := range g.pix {
		count[p]++
	}
	low, high := tone(count, len(g.pix)/100), tone(count, len(g.pix)*99/100)
	if high-low < 2 {
		return g
	}
	var to [256]byte
	for i := range to {
		to[i] = byte(min(255, max(0, (i-low)*255/(high-low))))
	}
	out := newGray(g.width, g.height)
	for i, p := range g.pix {
		out.pix[i] = to[p]
	}
	return out
}

// tone returns the tone of the n-th darkest pixel.
func tone(count [256]int, n int) int {
	for i, c := range count {
		if n < c {
			return i
		}
		n -= c
	}
	return 255
}

// shrunk averages squares of factor by factor pixels; what is left at the edges is cut off.
func (g gray) shrunk(factor int) gray {
	if factor == 1 {
		return g
	}
	out := newGray(g.width/factor, g.height/factor)
	sums := make([]int, out.width)
	for y := range out.height {
		clear(sums)
		for dy := range factor {
			row := g.pix[(y*factor+dy)*g.width:]
			for x := range sums {
				for _, p := range row[x*factor : (x+1)*factor] {
					sums[x] += int(p)
				}
			}
		}
		for x, s := range sums {
			out.pix[y*out.width+x] = byte(s / (factor * factor))
		}
	}
	return out
}

// enlarged repeats every pixel factor times in both directions.
func (g gray) enlarged(factor int) gray {
	out := newGray(g.width*factor, g.height*factor)
	for i := range out.pix {
		x, y := i%out.width, i/out.width
		out.pix[i] = g.pix[y/factor*g.width+x/factor]
	}
	return out
}

// inverted makes a light code on a dark ground a dark one on a light ground.
func (g gray) inverted() gray {
	out := newGray(g.width, g.height)
	for i, p := range g.pix {
		out.pix[i] = 255 - p
	}
	return out
}

// luminance shows the picture to gozxing.
func (g gray) luminance() (gozxing.LuminanceSource, error) {
	return gozxing.NewPlanarYUVLuminanceSource(g.pix, g.width, g.height, 0, 0, g.width, g.height, false)
}
