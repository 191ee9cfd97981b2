package web

import (
	"errors"
	"strings"

	"redhen/appliance/space"
	"redhen/appliance/web/page"
)

// maxPicked bounds what is done to at once.
const maxPicked = 500

// several does one thing to the files and folders that were ticked.
func (p place) several(f *page.Form) error {
	names := p.R.Form["pick"]
	if joined := f.Get("picks"); joined != "" { // of an undo
		names = strings.Split(joined, "/")
	}
	switch {
	case len(names) == 0:
		return p.backTo(p.path, page.Note{Text: p.Say("several.none"), Bad: true})
	case len(names) > maxPicked:
		return space.ErrTooMany
	}
	infos, err := p.picked(names)
	if err != nil {
		return err
	}
	switch f.Get("what") {
	case "move":
		return p.moveSeveral(infos, f.Get("to"))
	case "remove":
		return p.removeSeveral(infos)
	case "zip":
		_, name := space.Split(p.path)
		return p.sendZip(orElse(name, p.space), infos)
	}
	return space.ErrNotFound
}

// picked finds what has the names in this folder; what is gone meanwhile is left out.
func (p place) picked(names []string) (infos []space.Info, err error) {
	for _, name := range names {
		if err := space.CheckName(name); err != nil {
			return nil, err
		}
		info, err := p.fs.Stat(p.R.Context(), space.Join(p.path, name))
		if errors.Is(err, space.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// tally is what became of several things.
type tally struct {
	names []string // done
	kept  int      // the fewest houses
	lines []string // what was not, and why
}

func (t *tally) add(p place, info space.Info, a space.Answer, err error) {
	if err != nil {
		t.lines = append(t.lines, p.Say("upload.failed", "name", info.Name, "why", space.ExplainIn(p.Words, err).String()))
		return
	}
	if len(t.names) == 0 || a.Kept < t.kept {
		t.kept = a.Kept
	}
	t.names = append(t.names, a.Info.Name)
}

func (p place) moveSeveral(infos []space.Info, dir string) error {
	to, err := space.Clean(dir)
	if err != nil {
		return err
	}
	var t tally
	for _, info := range infos {
		if to == p.path {
			break
		}
		a, err := p.fs.Move(p.R.Context(), info.Path, space.Join(to, info.Name), space.MoveOptions{})
		t.add(p, info, a, err)
	}
	if len(t.names) == 0 && len(t.lines) == 0 {
		return p.backTo(p.path, page.Note{Text: p.Say("did.nothing")})
	}
	n := p.tallied(t, p.Say("several.moved", "n", len(t.names), "name", t.first(), "to", folderName(to, p.Say("files.title"))))
	if len(t.names) > 0 {
		n.UndoBy(p.urlOf("/files", to)+"?do=several", p.Say("undo"), "what", "move", "to", p.path, "picks", strings.Join(t.names, "/"))
	}
	return p.backTo(p.path, n)
}

func (p place) removeSeveral(infos []space.Info) error {
	var t tally
	var nodes []string
	for _, info := range infos {
		a, err := p.fs.Remove(p.R.Context(), info.Path, space.WriteOptions{})
		a.Info.Name = info.Name
		t.add(p, info, a, err)
		if err == nil {
			nodes = append(nodes, info.Node.String())
		}
	}
	n := p.tallied(t, p.Say("several.removed", "n", len(t.names), "name", t.first()))
	if len(nodes) > 0 {
		n.UndoBy(p.urlOf("/files", p.path)+"?do=undo", p.Say("undo"), "node", strings.Join(nodes, " "))
	}
	return p.backTo(p.path, n)
}

// first is the name of the first that was done.
func (t *tally) first() string {
	if len(t.names) == 0 {
		return ""
	}
	return t.names[0]
}

// tallied is the page.Note about several things; done says what became of most.
func (p place) tallied(t tally, done string) page.Note {
	n := page.Note{Text: done, Bad: len(t.lines) > 0, Lines: t.lines}
	if len(t.names) == 0 {
		n.Text = p.Say("several.failed")
	}
	return n
}
