package qr

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"strings"
	"testing"
)

// link is the longest ticket link there is: 200 letters behind the address.
var link = "http://redhen.local/p#" + strings.Repeat("AGFIRY65OQE7DFP5KLNS", 10)

func drawn(t testing.TB, text string) Code {
	t.Helper()
	c, err := Draw(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reads(t *testing.T, picture []byte, want string) {
	t.Helper()
	got, err := Decode(bytes.NewReader(picture))
	if err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestATicketLinkIsSmall(t *testing.T) {
	for text, size := range map[string]int{
		link:                                    53, // version 9: as bytes alone it were version 11
		link[:22+79]:                            37, // a ticket of 49 bytes
		strings.TrimPrefix(link, link[:22]):     49, // version 8
		"http://192.168.1.41/":                  25,
		"":                                      21,
		"WIFI:T:WPA;S:Mill Lane;P:\"hens\";;":   29,
		"http://redhen.local/p#A":               25,
		strings.Repeat("0123456789ABCDEF ", 40): 85,
	} {
		c := drawn(t, text)
		if c.Size() != size {
			t.Errorf("%.30q: %d modules, want %d", text, c.Size(), size)
		}
		if text != "" {
			reads(t, c.PNG(4), text)
		}
	}
	if _, err := Draw(strings.Repeat("x", 3000)); !errors.Is(err, ErrTooLong) {
		t.Errorf("3,000 bytes: got %v", err)
	}
}

func TestEveryLengthCanBeRead(t *testing.T) {
	for n := 1; n < len(link); n += 7 {
		reads(t, drawn(t, link[:n]).PNG(3), link[:n])
	}
	reads(t, drawn(t, "Küche, 納屋").PNG(3), "Küche, 納屋")
}

func TestPNG(t *testing.T) {
	c := drawn(t, link)
	for scale, want := range map[int]int{-1: 61, 1: 61, 5: 305, 1000: 61 * 32} {
		img, err := png.Decode(bytes.NewReader(c.PNG(scale)))
		if err != nil || img.Bounds() != image.Rect(0, 0, want, want) {
			t.Fatalf("scale %d: got %v, %v; want %d", scale, img.Bounds(), err, want)
		}
	}
	reads(t, c.PNG(1), link)
	reads(t, c.PNG(2), link)
}

func TestTheTerminalPictureIsTheCode(t *testing.T) {
	c := drawn(t, link)
	lines := strings.Split(strings.TrimSuffix(c.Terminal(), "\n"), "\n")
	side := c.Size() + 2*quiet
	if len(lines) != (side+1)/2 {
		t.Fatalf("got %d lines for %d modules", len(lines), side)
	}
	seen := Code{size: side + 1, black: make([]bool, (side+1)*(side+1))}
	for i, line := range lines {
		line, ok := strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
		line, ok2 := strings.CutSuffix(line, "\x1b[0m")
		cells := []rune(line)
		if !ok || !ok2 || len(cells) != side {
			t.Fatalf("line %d has %d cells of %d, or wrong colours", i, len(cells), side)
		}
		for x, cell := range cells {
			seen.black[2*i*seen.size+x] = cell == '█' || cell == '▀'
			seen.black[(2*i+1)*seen.size+x] = cell == '█' || cell == '▄'
		}
	}
	for y := range side {
		for x := range side {
			if seen.Black(x, y) != c.Black(x-quiet, y-quiet) {
				t.Fatalf("module %d,%d differs", x, y)
			}
		}
	}
	reads(t, seen.PNG(4), link)
}

func TestTheSVGIsTheCode(t *testing.T) {
	c := drawn(t, link)
	var svg struct {
		ViewBox string `xml:"viewBox,attr"`
		Width   string `xml:"width,attr"`
		Rect    struct {
			Width int    `xml:"width,attr"`
			Fill  string `xml:"fill,attr"`
		} `xml:"rect"`
		Path struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(c.SVG(), &svg); err != nil {
		t.Fatal(err)
	}
	if svg.ViewBox != "0 0 61 61" || svg.Width != "" || svg.Rect.Width != 61 || svg.Rect.Fill != "#fff" {
		t.Errorf("got %+v", svg)
	}
	seen := Code{size: c.size, black: make([]bool, len(c.black))}
	for run := range strings.SplitSeq(strings.TrimSuffix(svg.Path.D, "z"), "z") {
		var x, y, n, back int
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1h-%d", &x, &y, &n, &back); err != nil || n != back {
			t.Fatalf("%q: %v", run, err)
		}
		for i := range n {
			seen.black[(y-quiet)*c.size+x-quiet+i] = true
		}
	}
	if !bytes.Equal(seen.PNG(1), c.PNG(1)) {
		t.Error("the drawing differs")
	}
}

// Scores computed by hand from the standard's rules.
func TestPenalty(t *testing.T) {
	line := func(s string) int {
		return linePenalty(len(s), func(i int) bool { return s[i] == '#' })
	}
	for s, want := range map[string]int{
		"#.#.#.#.#":     0,
		"####.####":     0,
		"#####.#.":      3,
		".......#":      5,
		"#.###.#....":   40,
		"....#.###.#":   40,
		"#.#.###.#....": 40,
		"#.###.#...#":   0,
	} {
		if got := line(s); got != want {
			t.Errorf("%s: got %d, want %d", s, got, want)
		}
	}
	block := Code{2, []bool{true, true, true, true}}
	if got, want := block.penalty(), 3+100; got != want {
		t.Errorf("a black block: got %d, want %d", got, want)
	}
	even := Code{2, []bool{true, false, false, true}}
	if got := even.penalty(); got != 0 {
		t.Errorf("an even square: got %d", got)
	}
}

func TestTheZeroCodeIsEmpty(t *testing.T) {
	var c Code
	if c.Size() != 0 || c.Black(0, 0) || len(c.SVG()) == 0 || len(c.PNG(1)) == 0 {
		t.Error("the zero code is not empty")
	}
}
