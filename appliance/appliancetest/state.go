package appliancetest

import (
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing/synctest"

	"redhen/raftnode/directory"
)

// State is what a box has at one moment, to be compared with another moment.
type State struct {
	Directory []string          // what the circle decided, as this box knows it
	Files     map[string]string // lengths and checksums, by their names in the state directory
}

// State returns what the box has. Files that only say how others are reached are left out.
func (b *Box) State() State {
	b.w.T.Helper()
	synctest.Wait() // no file is half-written
	s := State{Files: map[string]string{}}
	_ = b.Node().Directory(func(v directory.View) error { // without a circle there is none
		s.Directory = describe(v)
		return nil
	})
	err := filepath.WalkDir(b.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "addresses" {
			return err
		}
		s.Files[strings.TrimPrefix(path, b.Dir+"/")], err = digest(path)
		return err
	})
	if err != nil {
		b.w.T.Fatal(err)
	}
	return s
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli)) // nobody forges here, and logs are large
	n, err := io.Copy(sum, f)
	return fmt.Sprintf("%d %x", n, sum.Sum32()), err
}

func describe(v directory.View) (lines []string) {
	add := func(what string, thing any) { lines = append(lines, fmt.Sprintf("%s %+v", what, thing)) }
	add("roster", v.Roster().Head())
	for _, a := range v.Accounts() {
		add("account", a)
	}
	for _, s := range v.Spaces() {
		add("space", s)
	}
	placements := maps.Collect(v.Placements())
	for _, shard := range slices.Sorted(maps.Keys(placements)) {
		add("placement", placements[shard])
	}
	for _, p := range v.Petitions() {
		add("petition", p)
	}
	for _, i := range v.Invites() {
		add("invite", i)
	}
	for _, e := range v.Diary(1000) {
		add("diary", e)
	}
	return lines
}

// Changed lists what differs between two states, a line each.
func (s State) Changed(before State) (lines []string) {
	if !slices.Equal(s.Directory, before.Directory) {
		lines = append(lines, "the directory")
	}
	names := maps.Clone(before.Files)
	maps.Copy(names, s.Files)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if s.Files[name] != before.Files[name] {
			lines = append(lines, name)
		}
	}
	return lines
}
