package thumb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"redhen/provision/picture"
)

var (
	red  = color.RGBA{200, 20, 20, 255}
	blue = color.RGBA{20, 20, 200, 255}
)

// halves is a picture whose left half is red and whose right half is blue.
func halves(width, height int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetRGBA(x, y, map[bool]color.RGBA{true: red, false: blue}[x < width/2])
		}
	}
	return img
}

func photo(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withExif puts an Exif part into a photo: how it is turned, and a small picture.
func withExif(photo []byte, order binary.ByteOrder, turn uint16, small []byte) []byte {
	tiff := []byte("MM\x00*\x00\x00\x00\x08")
	put16, put32 := binary.BigEndian.AppendUint16, binary.BigEndian.AppendUint32
	if order == binary.LittleEndian {
		tiff = []byte("II*\x00\x08\x00\x00\x00")
		put16, put32 = binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32
	}
	tiff = put16(tiff, 1)
	tiff = put16(put16(put32(put16(put16(tiff, tagTurn), 3), 1), turn), 0)
	tiff = put32(tiff, 26)
	tiff = put16(tiff, 2)
	tiff = put32(put32(put16(put16(tiff, tagAt), 4), 1), 56)
	tiff = put32(put32(put16(put16(tiff, tagLength), 4), 1), uint32(len(small)))
	tiff = append(put32(tiff, 0), small...)
	body := append([]byte("Exif\x00\x00"), tiff...)
	part := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2))
	return append(append(bytes.Clone(photo[:2]), append(part, body...)...), photo[2:]...)
}

// sees tells which of the two colours is left, right, above and below in a small picture.
func sees(t *testing.T, b []byte) (look string) {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil || img.Bounds() != image.Rect(0, 0, Side, Side) {
		t.Fatalf("%v, %v", img, err)
	}
	for _, at := range [][2]int{{10, Side / 2}, {Side - 10, Side / 2}, {Side / 2, 10}, {Side / 2, Side - 10}} {
		r, _, b, _ := img.At(at[0], at[1]).RGBA()
		look += map[bool]string{true: "r", false: "b"}[r > b]
	}
	return look
}

func TestOf(t *testing.T) {
	b, err := Of(photo(t, halves(1000, 300)))
	if err != nil {
		t.Fatal(err)
	}
	if look := sees(t, b); look[:2] != "rb" {
		t.Errorf("sees %s", look)
	}
	var clear bytes.Buffer
	if err := png.Encode(&clear, image.NewRGBA(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	if b, err = Of(clear.Bytes()); err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if r, _, _, _ := img.At(5, 5).RGBA(); r < 0xf000 {
		t.Error("nothing is not white")
	}
	for _, bad := range [][]byte{nil, []byte("<svg/>"), photo(t, halves(200, 200))[:60]} {
		if _, err := Of(bad); !errors.Is(err, picture.ErrFormat) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// TestExif: a photo is shown upright, and by the small picture that it brings along.
func TestExif(t *testing.T) {
	tall := photo(t, halves(300, 300))
	for turn, want := range map[uint16]string{1: "rb", 2: "br", 3: "br", 4: "rb"} {
		for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
			b, err := Of(withExif(tall, order, turn, nil))
			if err != nil || sees(t, b)[:2] != want {
				t.Errorf("%d %v: %s, %v", turn, order, sees(t, b), err)
			}
		}
	}
	for turn, want := range map[uint16]string{5: "rb", 6: "rb", 7: "br", 8: "br"} {
		b, err := Of(withExif(tall, binary.BigEndian, turn, nil))
		if err != nil || sees(t, b)[2:] != want {
			t.Errorf("%d: %s, %v", turn, sees(t, b), err)
		}
	}
	blue := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for i := range blue.Pix {
		blue.Pix[i] = []byte{20, 20, 200, 255}[i%4]
	}
	for name, c := range map[string]struct {
		small []byte
		want  string
	}{
		"a small picture": {photo(t, blue), "bb"},
		"a tiny one":      {photo(t, blue.SubImage(image.Rect(0, 0, 20, 20))), "rb"},
		"a broken one":    {photo(t, blue)[:50], "rb"},
	} {
		b, err := Of(withExif(tall, binary.LittleEndian, 1, c.small))
		if err != nil || sees(t, b)[:2] != c.want {
			t.Errorf("%s: %s, %v", name, sees(t, b), err)
		}
	}
}

func FuzzOf(f *testing.F) {
	img := photo(f, halves(60, 40))
	f.Add(withExif(img, binary.BigEndian, 6, photo(f, halves(100, 100))))
	f.Add(withExif(img, binary.LittleEndian, 3, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if turn, within := exif(b); turn < 1 || turn > 8 || len(within) > len(b) {
			t.Errorf("turn %d, %d bytes within", turn, len(within))
		}
		if c, _, err := image.DecodeConfig(bytes.NewReader(b)); err == nil && c.Width*c.Height > 1<<18 {
			return // right, and slow
		}
		Of(b) // must return
	})
}
