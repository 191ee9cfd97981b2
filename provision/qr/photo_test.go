package qr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// camera takes a photo of a code as a phone would: from some side, in some light.
// Lengths are in parts of the picture's width, angles in degrees.
type camera struct {
	width, height int
	size          float64 // of the code's picture
	x, y          float64 // of its middle, from the picture's
	turn          float64 // in the picture's plane
	tilt, pan     float64 // out of it
	blur          int     // pixels
	light         float64 // 1 is daylight
	shadow        float64 // how much darker the right edge is
	noise         float64 // deviation of a tone
	quality       int     // of the JPEG
	mirrored      bool
}

func ordinary() camera {
	return camera{width: 800, height: 600, size: 0.5, light: 0.9, noise: 4, quality: 75}
}

// photo returns the JPEG that the camera took of c on a cluttered wall.
func (cam camera) photo(t testing.TB, c Code) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(cam.width), 7))
	img := image.NewGray(image.Rect(0, 0, cam.width, cam.height))
	at, see := cam.projection(), scene(c)
	for y := range cam.height {
		for x := range cam.width {
			img.Pix[y*img.Stride+x] = byte(255 * supersample(at, see, float64(x), float64(y)))
		}
	}
	for range cam.blur {
		img = smear(img)
	}
	for y := range cam.height {
		for x := range cam.width {
			p := &img.Pix[y*img.Stride+x]
			light := cam.light * (1 - cam.shadow*float64(x)/float64(cam.width))
			*p = byte(min(255, max(0, float64(*p)*light+r.NormFloat64()*cam.noise)))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: cam.quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// projection maps a point of the picture to the code's plane, where the code's
// picture with its border is the square from -0.5 to 0.5.
func (cam camera) projection() func(x, y float64) (u, v float64) {
	sinT, cosT := math.Sincos(cam.turn * math.Pi / 180)
	tanX, tanY := math.Tan(cam.pan*math.Pi/180), math.Tan(cam.tilt*math.Pi/180)
	wide, high := math.Sqrt(1+tanX*tanX), math.Sqrt(1+tanY*tanY)
	w := float64(cam.width)
	return func(x, y float64) (float64, float64) {
		px := ((x-w/2)/w - cam.x) / cam.size
		py := ((y-float64(cam.height)/2)/w - cam.y) / cam.size
		if cam.mirrored {
			px = -px
		}
		px, py = px*cosT+py*sinT, py*cosT-px*sinT
		depth := 1 - 0.5*(px*tanX+py*tanY) // the far side is smaller
		return px * wide / depth, py * high / depth
	}
}

// supersample averages two points of one pixel, as a lens does.
func supersample(at func(x, y float64) (float64, float64), see func(u, v float64) float64, x, y float64) float64 {
	return (see(at(x, y)) + see(at(x+0.5, y+0.5))) / 2
}

// scene is a white sheet with the code on a wall with stripes and squares.
func scene(c Code) func(u, v float64) float64 {
	side := float64(c.size + 2*quiet)
	return func(u, v float64) float64 {
		if math.Abs(u) < 0.5 && math.Abs(v) < 0.5 {
			if c.Black(int((u+0.5)*side)-quiet, int((v+0.5)*side)-quiet) {
				return 0.08
			}
			return 0.95
		}
		switch {
		case int(math.Floor(u*17))%5 == 0:
			return 0.3
		case int(math.Floor(v*11))%4 == 0:
			return 0.7
		}
		return 0.5
	}
}

// smear averages every pixel with its neighbours; the outermost ones stay.
func smear(img *image.Gray) *image.Gray {
	out := image.NewGray(img.Rect)
	copy(out.Pix, img.Pix)
	for y := 1; y < img.Rect.Dy()-1; y++ {
		above, here, below := img.Pix[(y-1)*img.Stride:], img.Pix[y*img.Stride:], img.Pix[(y+1)*img.Stride:]
		row := out.Pix[y*out.Stride:]
		for x := 1; x < img.Rect.Dx()-1; x++ {
			sum := 0
			for i := x - 1; i <= x+1; i++ {
				sum += int(above[i]) + int(here[i]) + int(below[i])
			}
			row[x] = byte(sum / 9)
		}
	}
	return out
}

func TestPhotos(t *testing.T) {
	c := drawn(t, link)
	for name, edit := range map[string]func(*camera){
		"straight":           func(*camera) {},
		"turned 7°":          func(c *camera) { c.turn = 7 },
		"turned 30°":         func(c *camera) { c.turn = 30 },
		"turned 45°":         func(c *camera) { c.turn = 45 },
		"on its side":        func(c *camera) { c.turn = 90 },
		"on its head":        func(c *camera) { c.turn = 180 },
		"turned 200°":        func(c *camera) { c.turn = 200 },
		"from above":         func(c *camera) { c.tilt = 25 },
		"from the left":      func(c *camera) { c.pan = -25 },
		"from below right":   func(c *camera) { c.pan, c.tilt, c.turn = 14, -14, 10 },
		"blurred":            func(c *camera) { c.blur = 4 },
		"dark":               func(c *camera) { c.light, c.noise = 0.15, 2 },
		"very dark":          func(c *camera) { c.light, c.noise, c.quality = 0.07, 0.7, 95 },
		"noisy":              func(c *camera) { c.noise = 25 },
		"half in the shadow": func(c *camera) { c.shadow = 0.8 },
		"badly compressed":   func(c *camera) { c.quality = 12 },
		"in a corner":        func(c *camera) { c.size, c.x, c.y = 0.3, 0.3, -0.2 },
		"small":              func(c *camera) { c.width, c.height, c.size, c.x = 2000, 900, 0.13, 0.2 },
		"two million pixels": func(c *camera) { c.width, c.height, c.size, c.turn, c.blur = 1600, 1200, 0.4, 12, 1 },
		"thumbnail":          func(c *camera) { c.width, c.height, c.size = 320, 300, 0.9 },
		"in a mirror":        func(c *camera) { c.mirrored = true },
		"everything at once": func(c *camera) {
			c.turn, c.tilt, c.blur, c.light, c.shadow, c.noise, c.quality = 17, 12, 2, 0.4, 0.4, 6, 60
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := ordinary()
			edit(&cam)
			reads(t, cam.photo(t, c), link)
		})
	}
}

// Phones take twelve million pixels and more; a sharper sensor, the same lens.
func TestALargePhoto(t *testing.T) {
	small, err := jpeg.Decode(bytes.NewReader(ordinary().photo(t, drawn(t, link))))
	if err != nil {
		t.Fatal(err)
	}
	g := grayOf(small).enlarged(4)
	large := &image.Gray{Pix: g.pix, Stride: g.width, Rect: image.Rect(0, 0, g.width, g.height)}
	reads(t, encoded(t, func(w io.Writer) error { return jpeg.Encode(w, large, nil) }), link)
}

func TestPicturesOfOtherKinds(t *testing.T) {
	c := drawn(t, link)
	plain, err := png.Decode(bytes.NewReader(c.PNG(4)))
	if err != nil {
		t.Fatal(err)
	}
	deep := image.NewNRGBA64(plain.Bounds())
	clearBack := image.NewNRGBA(image.Rect(-5, 9, plain.Bounds().Dx()-5, plain.Bounds().Dy()+9))
	night := image.NewGray(plain.Bounds())
	for y := range plain.Bounds().Dy() {
		for x := range plain.Bounds().Dx() {
			deep.Set(x, y, plain.At(x, y))
			if r, _, _, _ := plain.At(x, y).RGBA(); r == 0 {
				clearBack.Set(x-5, y+9, color.Black)
				night.Set(x, y, color.Gray{200})
			}
		}
	}
	for name, b := range map[string][]byte{
		"deep PNG":           encoded(t, func(w io.Writer) error { return png.Encode(w, deep) }),
		"transparent PNG":    encoded(t, func(w io.Writer) error { return png.Encode(w, clearBack) }),
		"light on dark":      encoded(t, func(w io.Writer) error { return png.Encode(w, night) }),
		"GIF":                encoded(t, func(w io.Writer) error { return gif.Encode(w, plain, nil) }),
		"JPEG in colour":     encoded(t, func(w io.Writer) error { return jpeg.Encode(w, deep, nil) }),
		"one pixel a module": c.PNG(1),
	} {
		t.Run(name, func(t *testing.T) { reads(t, b, link) })
	}
}

func encoded(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// header is a PNG that says it is w by h pixels of 8 or 16 bits, and has none.
func header(t *testing.T, w, h int, deep bool) []byte {
	img := image.Image(image.NewNRGBA(image.Rect(0, 0, 1, 1)))
	if deep {
		img = image.NewNRGBA64(image.Rect(0, 0, 1, 1))
	}
	b := encoded(t, func(out io.Writer) error { return png.Encode(out, img) })
	copy(b[16:], []byte{byte(w >> 24), byte(w >> 16), byte(w >> 8), byte(w), byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)})
	copy(b[29:], crcOf(b[12:29]))
	return b
}

func TestDecodeRefuses(t *testing.T) {
	wall := ordinary()
	wall.size = 0.0001
	good := drawn(t, link).PNG(4)
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":              {nil, ErrFormat},
		"text":                 {[]byte("hello"), ErrFormat},
		"a cut JPEG":           {ordinary().photo(t, drawn(t, "x"))[:500], ErrFormat},
		"a cut PNG":            {good[:len(good)/2], ErrFormat},
		"a bitmap":             {[]byte("BM" + strings.Repeat("\x00", 100)), ErrFormat},
		"a wall":               {wall.photo(t, drawn(t, "x")), ErrNoCode},
		"one white pixel":      {encoded(t, func(w io.Writer) error { return png.Encode(w, image.NewGray(image.Rect(0, 0, 1, 1))) }), ErrNoCode},
		"a line":               {encoded(t, func(w io.Writer) error { return png.Encode(w, image.NewGray(image.Rect(0, 0, 5000, 1))) }), ErrNoCode},
		"many pixels":          {header(t, 10_000, 5_001, false), ErrTooLarge},
		"very many pixels":     {header(t, 1_000_000, 1_000_000, false), ErrTooLarge},
		"many deep pixels":     {header(t, 4_000, 4_000, true), ErrTooLarge},
		"as many as there may": {header(t, 10_000, 5_000, false), ErrFormat}, // their data is missing
		"many bytes":           {append(bytes.Clone(good), make([]byte, MaxBytes)...), ErrTooLarge},
	} {
		if got, err := Decode(bytes.NewReader(tt.b)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %q, %v; want %v", name, got, err, tt.want)
		}
	}
	broken := io.MultiReader(bytes.NewReader(good[:100]), brokenReader{})
	if _, err := Decode(broken); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a broken upload: got %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestShrinkAndStretch(t *testing.T) {
	g := gray{5, 3, []byte{10, 20, 30, 40, 99, 30, 40, 50, 60, 99, 1, 2, 3, 4, 5}}
	if got := fmt.Sprint(g.shrunk(2)); got != "{2 1 [25 45]}" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(gray{2, 1, []byte{1, 2}}.enlarged(2)); got != "{4 2 [1 1 2 2 1 1 2 2]}" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(gray{4, 1, []byte{10, 15, 15, 20}}.stretched().pix); got != "[0 127 127 255]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(gray{2, 1, []byte{7, 7}}.stretched().pix); got != "[7 7]" {
		t.Errorf("one tone: got %s", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(drawn(f, "http://redhen.local/p#ABC").PNG(1))
	cam := ordinary()
	cam.width, cam.height, cam.size = 120, 110, 0.9
	f.Add(cam.photo(f, drawn(f, "hen")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 || tooBig(b) {
			return
		}
		Decode(bytes.NewReader(b)) // must return
	})
}

// FuzzFind gets past the picture decoders: any pattern of modules.
func FuzzFind(f *testing.F) {
	c := drawn(f, "http://redhen.local/p#ABC")
	pix := make([]byte, len(c.black))
	for i, b := range c.black {
		if !b {
			pix[i] = 255
		}
	}
	f.Add(pix)
	f.Fuzz(func(t *testing.T, b []byte) {
		side := min(60, int(math.Sqrt(float64(len(b)))))
		if side == 0 {
			return
		}
		g := newGray(side+8, side+8)
		for i := range g.pix {
			g.pix[i] = 255
		}
		for y := range side {
			copy(g.pix[(y+4)*g.width+4:], b[y*side:(y+1)*side])
		}
		look(g.enlarged(3))
	})
}

func tooBig(b []byte) bool {
	c, _, err := image.DecodeConfig(bytes.NewReader(b))
	return err == nil && c.Width*c.Height > 1<<18
}

func crcOf(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }

// gozxing weighs every three corners that it finds: without a bound this picture
// of 0.75 million pixels takes it hours.
func TestAPictureFullOfCornersEndsSoon(t *testing.T) {
	corner := []string{"#######", "#.....#", "#.###.#", "#.###.#", "#.###.#", "#.....#", "#######"}
	g := newGray(1000, 750)
	for i := range g.pix {
		x, y := i%g.width/2%9, i/g.width/2%9
		if x >= 7 || y >= 7 || corner[y][x] != '#' {
			g.pix[i] = 255
		}
	}
	if text, err := find(g); !errors.Is(err, ErrNoCode) {
		t.Errorf("got %q, %v", text, err)
	}
}
