package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"redhen/appliance/space"
	"redhen/appliance/status"
)

//go:embed templates static
var embedded embed.FS

type readCloser = io.ReadCloser

// pages are the parsed templates and everything they show.
type pages struct {
	words     words
	templates map[string]*template.Template
	assets    map[string]asset // by name
}

type asset struct {
	hash string
	data []byte
}

// page is what every page shows, and its own Body.
type page struct {
	Title string
	Tab   string
	Form  *form
	Body  any
	// Live pages change by themselves; without JavaScript they have a link that looks again.
	Live bool
	// Wide lets the page have more than the width of a letter.
	Wide bool

	Circle string // set by show, as are the others below
	Who    string
	Note   *note
	Fresh  bool // the box is not claimed
}

// message is a page of its own with one thing to say.
type message struct{ Title, Text, Lost, Link, LinkText string }

// note is what just happened, for the top of the next page.
type note struct {
	Text string
	Bad  bool
	// Lines tell more.
	Lines []string
	// Undo takes it back: a form for Action with these fields.
	Action string
	Fields map[string]string
	Label  string
}

func loadPages() (p pages, err error) {
	p = pages{templates: map[string]*template.Template{}, assets: map[string]asset{}}
	if p.words, err = parseWords(english); err != nil {
		return p, err
	}
	files, err := embedded.ReadDir("static")
	if err != nil {
		return p, fmt.Errorf("web: %w", err)
	}
	for _, f := range files {
		data, err := embedded.ReadFile("static/" + f.Name())
		if err != nil {
			return p, fmt.Errorf("web: %w", err)
		}
		sum := sha256.Sum256(data)
		p.assets[f.Name()] = asset{hex.EncodeToString(sum[:6]), data}
	}
	base, err := template.New("base").Funcs(p.funcs()).ParseFS(embedded, "templates/base/*.html")
	if err != nil {
		return p, fmt.Errorf("web: %w", err)
	}
	names, err := embedded.ReadDir("templates")
	if err != nil {
		return p, fmt.Errorf("web: %w", err)
	}
	for _, f := range names {
		if f.IsDir() {
			continue
		}
		t, err := template.Must(base.Clone()).ParseFS(embedded, "templates/"+f.Name())
		if err != nil {
			return p, fmt.Errorf("web: %w", err)
		}
		p.templates[strings.TrimSuffix(f.Name(), ".html")] = t
	}
	return p, nil
}

func (p *pages) funcs() template.FuncMap {
	return template.FuncMap{
		"say":   p.words.say,
		"field": p.words.field,
		"bytes": status.Bytes,
		"asset": func(name string) (string, error) {
			a, ok := p.assets[name]
			if !ok {
				return "", fmt.Errorf("no asset %q", name)
			}
			return "/static/" + a.hash + "/" + name, nil
		},
	}
}

// show answers with a page.
func (q *request) show(name string, p page) error {
	if r := q.cfg.Circle.Roster(); r != nil {
		p.Circle = r.Name()
	} else {
		p.Fresh = true
	}
	if q.who.Account != "" {
		p.Who = q.who.Name
		if n, ok := take[note](q.shelf, q.who.Account, q.r.URL.Query().Get("m")); ok {
			p.Note = &n
		}
	}
	var b bytes.Buffer
	if err := q.pages.templates[name].ExecuteTemplate(&b, "page", p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.Form != nil && (p.Form.Error != "" || len(p.Form.Errors) > 0) {
		q.w.WriteHeader(http.StatusUnprocessableEntity)
	}
	_, err := q.w.Write(b.Bytes())
	if err != nil {
		return nil // the browser left
	}
	return nil
}

// part renders a piece of a page, for those that are kept up to date.
func (q *request) part(name, part string, data any) (string, error) {
	var b bytes.Buffer
	err := q.pages.templates[name].ExecuteTemplate(&b, part, data)
	return b.String(), err
}

// tell leads on to a page that says what happened.
func (q *request) tell(to string, n note) {
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	q.redirect(to + sep + "m=" + q.shelf.put(q.who.Account, n, time.Hour))
}

// fail answers for an error that no form shows. A person never sees the error itself.
func (q *request) fail(err error) {
	trouble := space.Explain(err)
	if _, text, ok := q.pages.words.blame(err); ok {
		trouble = space.Trouble{Status: http.StatusBadRequest, What: text}
	}
	if trouble.Status == http.StatusInternalServerError && !errors.Is(err, q.r.Context().Err()) {
		q.cfg.Logger.Error("page", "path", path.Clean(q.r.URL.Path), "err", err)
	}
	q.w.WriteHeader(trouble.Status)
	body := message{Title: trouble.What, Lost: trouble.Lost, Text: trouble.Do, Link: "/", LinkText: q.say("nothing.link")}
	if err := q.show("message", page{Title: q.say("trouble.title"), Body: body}); err != nil {
		q.cfg.Logger.Error("page", "err", err)
	}
}

// static serves a stylesheet, the script or the icon, for ever.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, ok := s.pages.assets[name]
	if !ok || a.hash != r.PathValue("hash") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", map[string]string{
		".css": "text/css; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}[path.Ext(name)])
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}
