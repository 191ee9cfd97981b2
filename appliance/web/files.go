package web

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"redhen/appliance/space"
	"redhen/appliance/status"
	"redhen/appliance/web/page"
	"redhen/provision/ident"
	"redhen/provision/picture"
)

// place is a folder or file on its way to a page.
type place struct {
	*request
	space string
	path  string // clean
	fs    *space.FS
}

// place finds what a path under /files/, /get/ or /removed/ means.
func (q *request) place() (p place, err error) {
	p = place{request: q, space: q.R.PathValue("space")}
	if p.path, err = space.Clean("/" + q.R.PathValue("path")); err != nil {
		return p, err
	}
	p.fs, err = q.cfg.Spaces.Space(q.R.Context(), q.Who.Account, p.space)
	return p, err
}

// urlOf is the address of a path below /files, /get or /removed.
func (p place) urlOf(door, at string) string {
	u := url.URL{Path: path.Join(door, p.space, at)}
	return u.EscapedPath()
}

func (q *request) ownFiles() error {
	q.Redirect("/files/" + url.PathEscape(q.Who.Name))
	return nil
}

// line is one file or folder of a list.
type line struct {
	Name, URL, Get, Where string
	Zip                   string
	Kind                  string // folder, picture, film, sound, text, other
	Small                 string // the address of a small picture; empty: there is none
	Size                  string
	When                  string
	Dir                   bool
}

// crumb is one step of the way to a folder.
type crumb struct{ Name, URL string }

// filesBody is a folder.
type filesBody struct {
	Space, Name, URL, Removed string
	Crumbs                    []crumb
	Lines                     []line
	Query                     string // what was searched for
	More                      bool   // the list is cut
	Where                     whereBody

	Zip, Begin string // the addresses that send it as a zip, and that begin an upload
	// Pick shows boxes to tick; Picked are ticked, Folders are where those can go.
	Pick    bool
	Picked  string
	Folders []string
	In      string
}

// Bounds of what one page shows.
const (
	maxLines  = 2000
	maxFound  = 200
	maxText   = 32 << 10
	maxMoveTo = 200
)

func (q *request) filesPage() error {
	p, err := q.place()
	if err != nil {
		return err
	}
	info, err := p.fs.Stat(q.R.Context(), p.path)
	if err != nil {
		return err
	}
	if !info.Dir {
		return p.showFile(info, q.NewForm())
	}
	return p.showFolder(q.NewForm())
}

func (p place) showFolder(f *page.Form) error {
	body := filesBody{Space: p.space, URL: p.urlOf("/files", p.path), Removed: p.urlOf("/removed", ""), Crumbs: p.crumbs(),
		Zip: p.urlOf("/zip", p.path), Begin: p.urlOf("/upload", p.path), In: p.path, Where: p.where()}
	_, body.Name = space.Split(p.path)
	if body.Name == "" {
		body.Name = p.Say("files.title")
	}
	body.Query = strings.TrimSpace(p.R.URL.Query().Get("q"))
	list, err := p.list(body.Query)
	if err != nil {
		return err
	}
	if body.More = len(list) > maxLines; body.More {
		list = list[:maxLines]
	}
	for _, info := range list {
		body.Lines = append(body.Lines, p.line(info, body.Query != ""))
	}
	if body.Pick = p.R.URL.Query().Has("pick") && body.Query == ""; body.Pick {
		body.Picked = p.R.URL.Query().Get("pick")
		if body.Folders, err = p.folders(); err != nil {
			return err
		}
	}
	return p.Show("files", page.Page{Title: body.Name, Tab: "files", Form: f, Body: body, Wide: true, Live: body.Where.Growing})
}

// kept says where the files of a space are.
func (p place) kept(s status.Space) string {
	switch {
	case !s.Known:
		return p.Say("kept.unknown")
	case s.Waiting > 0:
		return p.Say("kept.waiting", "n", s.Waiting)
	case len(s.Houses) < s.Possible:
		return p.Say("kept.growing", "n", len(s.Houses), "all", s.Possible, "houses", p.Words.List(s.Houses))
	}
	return p.Say("kept.houses", "n", len(s.Houses), "houses", p.Words.List(s.Houses))
}

// list returns a folder, folders first, or what a search finds.
func (p place) list(query string) ([]space.Info, error) {
	if query != "" {
		return p.fs.Search(p.R.Context(), query, maxFound)
	}
	list, err := p.fs.List(p.R.Context(), p.path)
	slices.SortStableFunc(list, func(a, b space.Info) int {
		if a.Dir != b.Dir {
			return map[bool]int{true: -1, false: 1}[a.Dir]
		}
		return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return list, err
}

func (p place) line(info space.Info, where bool) line {
	l := line{Name: info.Name, URL: p.urlOf("/files", info.Path), Get: p.urlOf("/get", info.Path), Zip: p.urlOf("/zip", info.Path), Kind: kindOf(info),
		Dir: info.Dir, When: p.When(info.ModTime)}
	if !info.Dir {
		l.Size = p.Words.Bytes(info.Size)
	}
	if l.Kind == "picture" && info.Size <= picture.MaxBytes {
		l.Small = p.urlOf("/small", info.Path) + "?version=" + url.QueryEscape(info.Version.String())
	}
	if info.ModTime.IsZero() {
		l.When = ""
	}
	if where {
		if l.Where, _ = space.Split(info.Path); l.Where == "/" {
			l.Where = p.Say("files.title")
		}
	}
	return l
}

func (p place) crumbs() []crumb {
	list := []crumb{{p.Say("files.title"), p.urlOf("/files", "/")}}
	at := "/"
	for _, name := range strings.Split(strings.Trim(p.path, "/"), "/") {
		if name != "" {
			at = space.Join(at, name)
			list = append(list, crumb{name, p.urlOf("/files", at)})
		}
	}
	return list
}

// fileBody is one file.
type fileBody struct {
	line
	Crumbs   []crumb
	Folder   string // the address of the folder it is in
	Text     string // its beginning, of a text
	Cut      bool   // Text is not all
	Type     string // media type, if a browser may show it
	Versions []versionLine
	Folders  []string // where it can go
	In       string   // the folder it is in
	Author   string
	Where    whereBody
}

type versionLine struct {
	ID, When, Size, Author, Get string
	Now                         bool
}

func (p place) showFile(info space.Info, f *page.Form) error {
	dir, _ := space.Split(p.path)
	media, shown := mediaType(info.Name)
	body := fileBody{line: p.line(info, false), Crumbs: p.crumbs(), Folder: p.urlOf("/files", dir), In: dir, Where: p.where()}
	if shown {
		body.Type = media
	}
	if body.Kind == "text" {
		body.Text, body.Cut = p.beginning()
	}
	people := p.people()
	body.Author = people[info.Author]
	versions, err := p.fs.Versions(p.R.Context(), p.path)
	if err != nil {
		return err
	}
	for _, v := range versions {
		id := v.Version.String()
		body.Versions = append(body.Versions, versionLine{ID: id, When: p.When(v.ModTime), Size: p.Words.Bytes(v.Size),
			Author: people[v.Author], Now: v.Version == info.Version, Get: body.Get + "?version=" + url.QueryEscape(id)})
	}
	if body.Folders, err = p.folders(); err != nil {
		return err
	}
	return p.Show("file", page.Page{Title: info.Name, Tab: "files", Form: f, Body: body})
}

// beginning returns the first part of a text, empty when it cannot be read now.
func (p place) beginning() (text string, cut bool) {
	file, err := p.fs.Open(p.R.Context(), p.path)
	if err != nil {
		return "", false
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxText+1))
	if err != nil {
		return "", false
	}
	cut = len(b) > maxText
	return strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "�"), cut
}

// people gives each account its name.
func (q *request) people() map[ident.AccountID]string {
	names := map[ident.AccountID]string{}
	accounts, err := q.cfg.Circle.Accounts()
	if err != nil {
		return names // a list without names is still a list
	}
	for _, a := range accounts {
		names[a.ID] = page.FullName(a)
	}
	return names
}

// folders lists where a file can be moved to: at most maxMoveTo folders, the upper ones first.
func (p place) folders() (list []string, err error) {
	list = []string{"/"}
	for i := 0; i < len(list) && len(list) < maxMoveTo; i++ {
		infos, err := p.fs.List(p.R.Context(), list[i])
		if errors.Is(err, space.ErrNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, info := range infos {
			if info.Dir && len(list) < maxMoveTo {
				list = append(list, info.Path)
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

// removedBody is what can come back.
type removedBody struct {
	Space, Files, Post string
	Lines              []removedLine
	Next               string
}

type removedLine struct {
	line
	Node, At, By string
	Refused      bool
}

func (q *request) removedPage() error {
	p, err := q.place()
	if err != nil {
		return err
	}
	gone, next, err := p.fs.Removed(q.R.Context(), q.R.URL.Query().Get("from"), 100)
	if err != nil {
		return err
	}
	body := removedBody{Space: p.space, Files: p.urlOf("/files", "/"), Post: p.urlOf("/files", "/") + "?do=undo"}
	if next != "" {
		body.Next = "?from=" + url.QueryEscape(next)
	}
	people := q.people()
	for _, g := range gone {
		body.Lines = append(body.Lines, removedLine{line: p.line(g.Info, true), Node: g.Node.String(), At: q.When(g.At), By: people[g.By], Refused: g.Refused})
	}
	return q.Show("removed", page.Page{Title: q.Say("removed.title"), Tab: "files", Body: body, Wide: true})
}

// download sends a file, or a part of it, as it is in one version.
func (q *request) download() error {
	p, err := q.place()
	if err != nil {
		return err
	}
	file, err := p.open()
	if err != nil {
		return err
	}
	defer file.Close()
	info := file.Info()
	if info.Size > 0 {
		if _, err := file.ReadAt(make([]byte, 1), 0); err != nil && !errors.Is(err, io.EOF) {
			return err // better a sentence than half a file
		}
	}
	media, shown := mediaType(info.Name)
	disposition := "inline"
	if !shown || q.R.URL.Query().Has("save") {
		disposition = "attachment"
	}
	h := q.W.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", disposition+"; filename*=UTF-8''"+strings.ReplaceAll(url.PathEscape(info.Name), "'", "%27"))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", info.ETag())
	http.ServeContent(q.W, q.R, "", info.ModTime, file)
	return nil
}
