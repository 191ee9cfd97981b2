package web

import (
	"html/template"
	"slices"
	"strings"

	"redhen/appliance/status"
	"redhen/appliance/words"
)

// whereBody says in which houses a file is.
type whereBody struct {
	Live    string // the address that keeps this up to date
	Known   bool
	Words   string
	Drawing template.HTML
	Rows    []whereRow
	Growing bool // it is on its way to more houses
}

type whereRow struct {
	House, Words string
	Has          bool
}

// where says in which houses the space of a place is complete: each of its files is
// there, too.
func (p place) where() (b whereBody) {
	b.Live = p.urlOf("/live/where", p.path)
	r, err := p.cfg.Status.Report(p.R.Context())
	if err != nil {
		p.cfg.Logger.Warn("report", "err", err)
		b.Words = p.Say("kept.unknown")
		return b
	}
	s, ok := spaceNamed(r, p.space)
	if b.Words = p.kept(s); !ok || !s.Known {
		b.Words = p.Say("kept.unknown")
		return b
	}
	b.Known, b.Growing = true, !s.Complete()
	b.Drawing = drawWhere(r, s, p.Words)
	for _, h := range r.Houses {
		if row, ok := p.whereRow(s, h); ok {
			b.Rows = append(b.Rows, row)
		}
	}
	return b
}

// whereRow says whether a house has a space; false for one that is not to have it.
func (p place) whereRow(s status.Space, h status.House) (whereRow, bool) {
	if slices.Contains(s.Houses, h.Name) {
		return whereRow{h.Name, p.Say("where.has"), true}, true
	}
	i := slices.IndexFunc(s.Late, func(l status.Late) bool { return l.House == h.Name })
	switch {
	case i < 0:
		return whereRow{}, false
	case s.Late[i].Away:
		return whereRow{h.Name, p.Say("where.away"), false}, true
	}
	return whereRow{h.Name, p.Say("where.growing"), false}, true
}

// drawWhere draws the houses of a circle with one egg for one space.
func drawWhere(r status.Report, s status.Space, w *words.Words) template.HTML {
	r.Houses = slices.Clone(r.Houses)
	list, height := placeHouses(r)
	for i, h := range list {
		list[i].nest, list[i].eggs = 0, 0
		if slices.Contains(s.Houses, h.Name) {
			list[i].nest, list[i].eggs = 1, 1
		} else if slices.ContainsFunc(s.Late, func(l status.Late) bool { return l.House == h.Name }) {
			list[i].nest = 1
		}
	}
	return drawList(list, height, w.Say("where.label", "houses", strings.Join(s.Houses, ", ")))
}

func (q *request) liveWhere() error { return q.livePlace("file", "where") }
func (q *request) liveKept() error  { return q.livePlace("files", "kept") }

// livePlace keeps the part of a page up to date that says where things are.
func (q *request) livePlace(name, part string) error {
	p, err := q.place()
	if err != nil {
		return err
	}
	return q.KeepUpToDate(func() (string, <-chan struct{}, error) {
		html, err := q.Part(name, part, p.where())
		return html, nil, err
	})
}
