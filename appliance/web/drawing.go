package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"unicode/utf8"

	"redhen/appliance/status"
	"redhen/appliance/words"
)

// The drawing's measures, in its own units; its width is that of a phone.
const (
	drawWidth = 360.0
	houseSize = 64.0 // width of a house of a small circle
)

// house is one house of the drawing: its middle, and its size.
type drawnHouse struct {
	status.House
	x, y, size float64
	eggs, nest int // copies it has completely, of those it could have
}

// drawHouses draws the houses of a circle, how they are linked, and the copies as
// eggs: one for each space that the house has completely. The same facts stand in
// the table below it.
func drawHouses(r status.Report, w *words.Words) template.HTML {
	houses, height := placeHouses(r)
	return drawList(houses, height, w.Say("drawing.label", "n", len(houses)))
}

// drawList draws houses whose places are known.
func drawList(houses []drawnHouse, height float64, label string) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="houses" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, drawWidth, height, template.HTMLEscapeString(label))
	for i := 1; i < len(houses); i++ {
		drawLink(&b, houses, i)
	}
	for _, h := range houses {
		drawHouse(&b, h)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// placeHouses puts this house at the bottom and the others around the ring.
func placeHouses(r status.Report) (list []drawnHouse, height float64) {
	n := len(r.Houses)
	size, rx, ry := houseSize, 122.0, 78.0
	switch {
	case n == 1:
		rx, ry = 0, 0
	case n == 2:
		ry = 0
	case n > 6:
		size, rx, ry = houseSize*0.72, 138, 128
	case n > 3:
		rx, ry = 126, 100
	}
	nest := 0
	for _, s := range r.Spaces {
		if s.Name != "" {
			nest++
		}
	}
	lowest, highest := 0.0, 0.0
	for i, h := range r.Houses {
		angle := math.Pi/2 + 2*math.Pi*float64(i)/float64(max(n, 1))
		if n == 2 {
			angle = math.Pi * float64(1-i)
		}
		list = append(list, drawnHouse{House: h, size: size, eggs: h.Spaces, nest: nest,
			x: drawWidth/2 + rx*math.Cos(angle), y: ry * math.Sin(angle)})
		lowest, highest = max(lowest, list[i].y), min(highest, list[i].y)
	}
	top := size*0.75 + 8 - highest
	for i := range list {
		list[i].y += top
	}
	return list, top + lowest + size*0.62 + 42
}

// drawLink draws how this house, the first, reaches house i.
func drawLink(b *strings.Builder, houses []drawnHouse, i int) {
	from, to := houses[0], houses[i]
	class := "link"
	switch to.Reached.How {
	case status.Away:
		class = "link away"
	case status.Through:
		class = "link through"
		for _, h := range houses {
			for _, box := range h.Boxes {
				if box.Name == to.Reached.Via {
					from = h
				}
			}
		}
	}
	fmt.Fprintf(b, `<path class="%s" d="M%.1f %.1fL%.1f %.1f"/>`, class, from.x, from.y, to.x, to.y)
}

// drawHouse draws one house: lit while it is in reach, its eggs before the door.
func drawHouse(b *strings.Builder, h drawnHouse) {
	class := "house"
	if h.Reached.How == status.Away {
		class = "house away"
	} else if h.Here {
		class = "house here"
	}
	s := h.size / 64
	fmt.Fprintf(b, `<g class="%s" transform="translate(%.1f %.1f) scale(%.3f)"><title>%s: %s</title>`, class, h.x, h.y, s,
		template.HTMLEscapeString(h.Name), template.HTMLEscapeString(h.Reached.Words))
	b.WriteString(`<ellipse class="ground" cx="0" cy="33" rx="44" ry="6"/>` +
		`<path class="chimney" d="M14-34h9v20h-9z"/>` +
		`<path class="wall" d="M-27-8h54v40h-54z"/>` +
		`<path class="roof" d="M0-42 37-8c1.500 1.500.5 4-1.700 4h-70.600c-2.200 0-3.200-2.500-1.700-4z"/>` +
		`<rect class="window" x="-19" y="4" width="13" height="13" rx="1.500"/>` +
		`<rect class="door" x="4" y="6" width="15" height="26" rx="1.500"/>`)
	drawEggs(b, h)
	b.WriteString(`</g>`)
	drawLabel(b, h, s)
}

// drawEggs draws up to five eggs; more spaces share them.
func drawEggs(b *strings.Builder, h drawnHouse) {
	n := min(h.nest, 5)
	if h.Reached.How == status.Away {
		return // what it has now, nobody knows
	}
	for i := range n {
		class := "egg"
		if i*h.nest >= h.eggs*n {
			class = "egg missing"
		}
		x := -14.0 + (float64(i)-float64(n-1)/2)*11
		fmt.Fprintf(b, `<path class="%s" d="M%.1f 21c3 0 5 5.200 5 8.600a5 5 0 0 1-10 0c0-3.400 2-8.600 5-8.600z"/>`, class, x)
	}
}

func drawLabel(b *strings.Builder, h drawnHouse, s float64) {
	y := h.y + 33*s + 22
	fmt.Fprintf(b, `<text class="name" x="%.1f" y="%.1f">%s</text>`, h.x, y, template.HTMLEscapeString(short(h.Name, 16)))
	class := "how"
	if h.Reached.How == status.Away {
		class = "how away"
	}
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, h.x, y+15, template.HTMLEscapeString(short(h.Reached.Words, 24)))
}

// short cuts a text to n characters.
func short(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:n-1])) + "…"
}
