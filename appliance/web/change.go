package web

import (
	"encoding/hex"
	"errors"
	"io"
	"mime/multipart"
	"path"
	"strings"

	"redhen/appliance/space"
	"redhen/appliance/web/page"
	"redhen/raftnode/catalog"
)

// changeFiles does what a form on the pages of files asks for.
func (q *request) changeFiles() error {
	p, err := q.place()
	if err != nil {
		return err
	}
	if do := q.R.URL.Query().Get("do"); do == "upload" {
		return p.upload()
	}
	f, err := q.Form()
	if err != nil {
		return err
	}
	switch q.R.URL.Query().Get("do") {
	case "uploaded":
		return p.uploaded()
	case "several":
		return p.several(f)
	case "mkdir":
		return p.mkdir(f)
	case "rename":
		return p.rename(f)
	case "move":
		return p.move(f)
	case "remove":
		return p.remove()
	case "undo":
		return p.undo(f)
	case "restore":
		return p.restore(f)
	}
	return space.ErrNotFound
}

// backTo leads to the folder that something is in, and says what happened.
func (p place) backTo(dir string, n page.Note) error {
	p.Tell(p.urlOf("/files", dir), n)
	return nil
}

// keptWords says in how many houses a write is.
func (p place) keptWords(kept int) string { return p.Say("kept", "n", max(kept, 1)) }

// result is a note about a write, with what else is to be known of it.
func (p place) result(key string, a space.Answer, pairs ...any) page.Note {
	n := page.Note{Text: p.Say(key, append(pairs, "name", a.Info.Name)...), Lines: []string{p.keptWords(a.Kept)}}
	if a.Beside {
		n.Lines = append(n.Lines, p.Say("beside", "name", a.Info.Name))
	}
	return n
}

func (p place) mkdir(f *page.Form) error {
	name := f.Get("folder")
	if !f.Needs("folder") {
		return p.showFolder(f)
	}
	if err := space.CheckName(name); err != nil {
		f.Errors["folder"] = p.sentence(err)
		return p.showFolder(f)
	}
	a, err := p.fs.Mkdir(p.R.Context(), space.Join(p.path, name), space.WriteOptions{})
	if err != nil {
		f.Errors["folder"] = p.sentence(err)
		return p.showFolder(f)
	}
	return p.backTo(p.path, p.result("did.mkdir", a))
}

// sentence says what happened and what to do.
func (p place) sentence(err error) string {
	t := space.ExplainIn(p.Words, err)
	return t.What + " " + t.Do
}

func (p place) rename(f *page.Form) error {
	dir, old := space.Split(p.path)
	name := f.Get("name")
	if !f.Needs("name") {
		return p.again(f)
	}
	if err := space.CheckName(name); err != nil {
		f.Errors["name"] = p.sentence(err)
		return p.again(f)
	}
	if name == old {
		return p.backTo(dir, page.Note{Text: p.Say("did.nothing")})
	}
	a, err := p.fs.Move(p.R.Context(), p.path, space.Join(dir, name), space.MoveOptions{})
	if overtaken(err) {
		return p.meanwhile()
	}
	if err != nil {
		f.Errors["name"] = p.sentence(err)
		return p.again(f)
	}
	n := p.result("did.rename", a, "old", old)
	n.UndoBy(p.urlOf("/files", space.Join(dir, a.Info.Name))+"?do=rename", p.Say("undo"), "name", old)
	return p.backTo(dir, n)
}

func (p place) move(f *page.Form) error {
	dir, name := space.Split(p.path)
	to, err := space.Clean(f.Get("to"))
	if err != nil {
		return err
	}
	if to == dir {
		return p.backTo(dir, page.Note{Text: p.Say("did.nothing")})
	}
	a, err := p.fs.Move(p.R.Context(), p.path, space.Join(to, name), space.MoveOptions{})
	if overtaken(err) {
		return p.meanwhile()
	}
	if err != nil {
		f.Errors["to"] = p.sentence(err)
		return p.again(f)
	}
	n := p.result("did.move", a, "to", folderName(to, p.Say("files.title")))
	n.UndoBy(p.urlOf("/files", space.Join(to, a.Info.Name))+"?do=move", p.Say("undo"), "to", dir)
	return p.backTo(dir, n)
}

// overtaken reports whether somebody else has moved or removed it since the page was
// shown, in this house or, in the same moment, in another.
func overtaken(err error) bool {
	return errors.Is(err, space.ErrNotFound) || errors.Is(err, space.ErrPrecondition)
}

// meanwhile leads to the folder: there it is under its other name.
func (p place) meanwhile() error {
	dir, name := space.Split(p.path)
	return p.backTo(dir, page.Note{Bad: true, Text: p.Say("did.meanwhile", "name", name), Lines: []string{p.Say("did.meanwhile.do")}})
}

func folderName(dir, root string) string {
	if dir == "/" {
		return root
	}
	return path.Base(dir)
}

// again shows the page of the file or folder, with what is wrong.
func (p place) again(f *page.Form) error {
	info, err := p.fs.Stat(p.R.Context(), p.path)
	if err != nil {
		return err
	}
	if info.Dir {
		return p.showFolder(f)
	}
	return p.showFile(info, f)
}

func (p place) remove() error {
	dir, name := space.Split(p.path)
	info, err := p.fs.Stat(p.R.Context(), p.path)
	if overtaken(err) {
		return p.meanwhile()
	}
	if err != nil {
		return err
	}
	a, err := p.fs.Remove(p.R.Context(), p.path, space.WriteOptions{})
	if err != nil {
		return err
	}
	a.Info.Name = name
	n := p.result("did.remove", a)
	n.Lines = nil // in how many houses it is gone says little
	n.UndoBy(p.urlOf("/files", dir)+"?do=undo", p.Say("undo"), "node", info.Node.String())
	return p.backTo(dir, n)
}

// undo brings back what was removed: one thing, or several.
func (p place) undo(f *page.Form) error {
	var a space.Answer
	ids := strings.Fields(f.Get("node"))
	if len(ids) > maxPicked {
		return space.ErrTooMany
	}
	for _, id := range ids {
		node, err := nodeOf(id)
		if err != nil {
			return err
		}
		if a, err = p.fs.Undo(p.R.Context(), node, space.WriteOptions{}); err != nil {
			return err
		}
	}
	switch len(ids) {
	case 0:
		return space.ErrNotFound
	case 1:
		dir, _ := space.Split(a.Info.Path)
		return p.backTo(dir, p.result("did.undo", a))
	}
	return p.backTo(p.path, page.Note{Text: p.Say("several.undone", "n", len(ids))})
}

func nodeOf(s string) (node catalog.NodeID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(node) {
		return node, space.ErrNotFound
	}
	copy(node[:], b)
	return node, nil
}

// restore makes an old version the newest again.
func (p place) restore(f *page.Form) error {
	id, err := catalog.ParseWriteID(f.Get("version"))
	if err != nil {
		return space.ErrNotFound
	}
	a, err := p.fs.Restore(p.R.Context(), p.path, id, space.WriteOptions{})
	if err != nil {
		return err
	}
	a.Info.Name = path.Base(p.path)
	p.Tell(p.urlOf("/files", p.path), p.result("did.restore", a))
	return nil
}

// uploaded is what became of the files of one upload.
type uploaded struct {
	stored, replaced int
	kept             int // the fewest houses
	last             string
	lines            []string
	bad              bool
}

// upload stores the files of a form in a folder, as they arrive.
func (p place) upload() error {
	mr, err := p.R.MultipartReader()
	if err != nil {
		return errors.Join(page.ErrTooLarge, err)
	}
	var u uploaded
	for {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			u.failed(p, "", errors.Join(space.ErrCut, err))
			break
		}
		if part.FileName() != "" {
			p.store(&u, part)
		}
	}
	if u.stored == 0 && !u.bad {
		f := p.NewForm()
		f.Wrong("files", "need.files")
		return p.showFolder(f)
	}
	return p.backTo(p.path, u.note(p))
}

func (p place) store(u *uploaded, part *multipart.Part) {
	name := path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
	a, err := p.fs.Put(p.R.Context(), space.Join(p.path, name), part, space.PutOptions{})
	if err != nil {
		if p.R.Context().Err() == nil && !errors.Is(err, space.ErrBadName) {
			p.cfg.Logger.Info("upload", "err", err)
		}
		u.failed(p, name, err)
		return
	}
	u.add(p, a)
}

// add counts one that is stored.
func (u *uploaded) add(p place, a space.Answer) {
	if u.stored == 0 || a.Kept < u.kept {
		u.kept = a.Kept
	}
	u.stored++
	u.last = a.Info.Name
	switch {
	case a.Beside:
		u.lines = append(u.lines, p.Say("beside", "name", a.Info.Name))
	case !a.Created:
		u.replaced++
	}
}

func (u *uploaded) failed(p place, name string, err error) {
	u.bad = true
	if name == "" {
		name = p.Say("upload.rest")
	}
	u.lines = append(u.lines, p.Say("upload.failed", "name", name, "why", space.ExplainIn(p.Words, err).String()))
}

func (u *uploaded) note(p place) page.Note {
	n := page.Note{Bad: u.bad, Text: p.Say("upload.done", "n", u.stored, "name", u.last)}
	if u.stored == 0 {
		n.Text = p.Say("upload.none")
	} else {
		n.Lines = append(n.Lines, p.keptWords(u.kept))
	}
	if u.replaced > 0 {
		n.Lines = append(n.Lines, p.Say("upload.replaced", "n", u.replaced))
	}
	n.Lines = append(n.Lines, u.lines...)
	return n
}
