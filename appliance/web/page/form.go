package page

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"redhen/appliance/words"
)

// Form is what a person filled in, and what is wrong with it, field by field.
type Form struct {
	words  *words.Words
	Values map[string]string
	Errors map[string]string
	// Error is wrong with the whole.
	Error string
}

// NewForm returns an empty form.
func (q *Request) NewForm() *Form {
	return &Form{words: q.Words, Values: map[string]string{"to": q.R.URL.Query().Get("to")}, Errors: map[string]string{}}
}

// FormOf returns a form that is filled in.
func (q *Request) FormOf(values map[string]string) *Form {
	if values == nil {
		values = map[string]string{}
	}
	return &Form{words: q.Words, Values: values, Errors: map[string]string{}}
}

// bounded is the body of a form; file uploads have bounds of their own.
func (q *Request) bounded() (body readCloser) {
	kind := q.R.Header.Get("Content-Type")
	if strings.HasPrefix(kind, "multipart/form-data") || kind == "application/octet-stream" {
		return q.R.Body
	}
	return http.MaxBytesReader(q.W, q.R.Body, MaxForm)
}

// Form reads a form that was sent.
func (q *Request) Form() (*Form, error) {
	if err := q.R.ParseForm(); err != nil {
		return nil, errors.Join(ErrTooLarge, err)
	}
	f := &Form{words: q.Words, Values: map[string]string{}, Errors: map[string]string{}}
	for name := range q.R.Form {
		f.Values[name] = q.R.Form.Get(name)
	}
	return f, nil
}

// Get returns a field without spaces at its ends; passwords are taken as they are.
func (f *Form) Get(name string) string {
	v := f.Values[name]
	if strings.Contains(name, "password") {
		return v
	}
	return strings.TrimSpace(v)
}

// Value is what to show in the field again; no password is.
func (f *Form) Value(name string) string {
	if strings.Contains(name, "password") || f == nil {
		return ""
	}
	return f.Values[name]
}

// Wrong notes a sentence beside a field.
func (f *Form) Wrong(name, key string, pairs ...any) { f.Errors[name] = f.words.Say(key, pairs...) }

// Needs notes which of the fields are empty, and reports whether none is.
func (f *Form) Needs(names ...string) bool {
	ok := true
	for _, name := range names {
		if f.Get(name) == "" {
			f.Wrong(name, "need."+name)
			ok = false
		}
	}
	return ok
}

// Blame puts the sentence for err beside the field that it is about: if that is
// not among fields, above the form. False: err is no fault of the person's.
func (f *Form) Blame(err error, fields ...string) bool {
	field, text, ok := Blame(f.words, err)
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
func field(w *words.Words, f *Form, name string, options ...string) (Field, error) {
	d := Field{Name: name, Type: "text", Label: w.Say("field." + name), Value: f.Value(name)}
	if f != nil {
		d.Error = f.Errors[name]
	}
	if w.Has("hint." + name) {
		d.Hint = w.Say("hint." + name)
	}
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "type":
			d.Type = value
		case "complete":
			d.Complete = value
		case "label":
			d.Label = w.Say(value)
		case "hint":
			d.Hint = w.Say(value)
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
	if d.Type == "password" {
		d.Value = "" // no secret is shown again
	}
	return d, nil
}
