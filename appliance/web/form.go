package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// form is what a person filled in, and what is wrong with it, field by field.
type form struct {
	words  words
	values map[string]string
	Errors map[string]string
	// Error is wrong with the whole.
	Error string
}

func newForm(r *http.Request) *form {
	return &form{values: map[string]string{"to": r.URL.Query().Get("to")}, Errors: map[string]string{}}
}

// bounded is the body of a form; file uploads have bounds of their own.
func (q *request) bounded() (body readCloser) {
	kind := q.r.Header.Get("Content-Type")
	if strings.HasPrefix(kind, "multipart/form-data") || kind == "application/octet-stream" {
		return q.r.Body
	}
	return http.MaxBytesReader(q.w, q.r.Body, maxForm)
}

// form reads a form that was sent.
func (q *request) form() (*form, error) {
	if err := q.r.ParseForm(); err != nil {
		return nil, errors.Join(errTooLarge, err)
	}
	f := &form{words: q.pages.words, values: map[string]string{}, Errors: map[string]string{}}
	for name := range q.r.Form {
		f.values[name] = q.r.Form.Get(name)
	}
	return f, nil
}

// get returns a field without spaces at its ends; passwords are taken as they are.
func (f *form) get(name string) string {
	v := f.values[name]
	if strings.Contains(name, "password") {
		return v
	}
	return strings.TrimSpace(v)
}

// Value is what to show in the field again; no password is.
func (f *form) Value(name string) string {
	if strings.Contains(name, "password") || f == nil {
		return ""
	}
	return f.values[name]
}

// wrong notes a sentence beside a field.
func (f *form) wrong(name, key string, pairs ...any) { f.Errors[name] = f.words.say(key, pairs...) }

// needs notes which of the fields are empty, and reports whether none is.
func (f *form) needs(names ...string) bool {
	ok := true
	for _, name := range names {
		if f.get(name) == "" {
			f.wrong(name, "need."+name)
			ok = false
		}
	}
	return ok
}

// blame puts the sentence for err beside the field that it is about: if that is
// not among fields, above the form. False: err is no fault of the person's.
func (f *form) blame(err error, fields ...string) bool {
	field, text, ok := f.words.blame(err)
	if !ok {
		return false
	}
	for _, have := range fields {
		if have == field {
			f.Errors[field] = text
			return true
		}
	}
	f.Error = text
	return true
}

// Field is one field of a form, ready for its template.
type Field struct {
	Name, Label, Hint, Value, Error string
	Type, Complete, Pattern         string
	Optional, Large, Mono           bool
}

// field describes a field. Options are "type=…", "complete=…" (autocomplete), "label=…"
// and "hint=…" (keys of words), "value=…", "plain" (no hint), "optional",
// "large" and "mono".
func (w words) field(f *form, name string, options ...string) (Field, error) {
	d := Field{Name: name, Type: "text", Label: w.say("field." + name), Value: f.Value(name)}
	if f != nil {
		d.Error = f.Errors[name]
	}
	if w.has("hint." + name) {
		d.Hint = w.say("hint." + name)
	}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "type":
			d.Type = value
		case "complete":
			d.Complete = value
		case "label":
			d.Label = w.say(value)
		case "hint":
			d.Hint = w.say(value)
		case "value":
			if d.Value == "" {
				d.Value = value
			}
		case "plain":
			d.Hint = ""
		case "optional":
			d.Optional = true
		case "large":
			d.Large = true
		case "mono":
			d.Mono = true
		default:
			return d, fmt.Errorf("field %s: unknown option %q", name, o)
		}
	}
	return d, nil
}
