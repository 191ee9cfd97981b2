package appliancetest

import (
	"os"
	"path/filepath"
	"time"

	"redhen/appliance/status"
	"redhen/provision/p2ptest"
	"redhen/provision/seed"
	"redhen/raftnode/directory"
)

// BoxWithCard starts a fresh box on a spot, from a card with settings.
func (w *World) BoxWithCard(s seed.Seed, at *p2ptest.Spot) *Box {
	w.T.Helper()
	b := &Box{Name: s.Box, House: s.House, Spot: at, Log: &Log{}, Dir: filepath.Join(w.dir, s.Box), Boot: filepath.Join(w.dir, s.Box+".card"), w: w}
	if err := os.MkdirAll(b.Boot, 0o700); err != nil {
		w.T.Fatal(err)
	}
	b.WriteCard("redhen.toml", seed.Render(s))
	w.boxes = append(w.boxes, b)
	b.Start()
	return b
}

// WriteCard puts a file onto the box's card; it is read at the next start.
func (b *Box) WriteCard(name string, content []byte) {
	b.w.T.Helper()
	if err := os.WriteFile(filepath.Join(b.Boot, name), content, 0o600); err != nil {
		b.w.T.Fatal(err)
	}
}

// ReadCard returns a file of the box's card.
func (b *Box) ReadCard(name string) []byte {
	b.w.T.Helper()
	content, err := os.ReadFile(filepath.Join(b.Boot, name))
	if err != nil {
		b.w.T.Fatal(err)
	}
	return content
}

// Told are the newest lines of the diary at this box.
func (b *Box) Told() (lines []status.Line) {
	b.w.T.Helper()
	err := b.Node().Directory(func(v directory.View) error {
		for _, e := range v.Diary(100) {
			if line, ok := status.Tell(nil, e, time.Now()); ok {
				lines = append(lines, line)
			}
		}
		return nil
	})
	if err != nil {
		b.w.T.Fatalf("%s: %v", b.Name, err)
	}
	return lines
}
