// Package words holds every text that a person reads, by key: one file for each
// language. A second language is a second file beside en.txt; what it lacks is said
// in English.
package words

import (
	"context"
	"embed"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed *.txt
var files embed.FS

// Words are all texts in one language. They never change; nil is English.
type Words struct {
	lang  string
	texts map[string]string
	rest  *Words // says what is missing; nil: nobody
}

// English is the language in which everything is there.
func English() *Words { return all()[0] }

// All returns the languages, English first, the others by their codes.
func All() []*Words { return slices.Clone(all()) }

// all reads the files that are built in; they are right, or the program is not.
var all = sync.OnceValue(func() []*Words {
	english := builtIn("en")
	list := []*Words{english}
	names, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	for _, f := range names {
		if lang := strings.TrimSuffix(f.Name(), ".txt"); lang != "en" {
			w := builtIn(lang)
			w.rest = english
			list = append(list, w)
		}
	}
	return list
})

func builtIn(lang string) *Words {
	b, err := files.ReadFile(lang + ".txt")
	if err != nil {
		panic(err)
	}
	w, err := Parse(lang, string(b))
	if err != nil {
		panic(err)
	}
	return w
}

// Parse reads lines of "key = text"; # begins a comment. lang is the language's code,
// such as "en".
func Parse(lang, file string) (*Words, error) {
	w := &Words{lang: lang, texts: map[string]string{}}
	for i, line := range strings.Split(file, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, text, ok := strings.Cut(line, " = ")
		if _, twice := w.texts[key]; !ok || twice {
			return nil, fmt.Errorf("words %s, line %d: %q", lang, i+1, line)
		}
		w.texts[key] = text
	}
	return w, nil
}

// Lang is the language's code.
func (w *Words) Lang() string { return w.or().lang }

func (w *Words) or() *Words {
	if w == nil {
		return English()
	}
	return w
}

// Has reports whether there is a text for a key.
func (w *Words) Has(key string) bool {
	_, ok := w.find(key)
	return ok
}

// Keys returns the keys of this language's own texts, in no order.
func (w *Words) Keys() iter.Seq[string] { return maps.Keys(w.or().texts) }

func (w *Words) find(key string) (string, bool) {
	for w = w.or(); w != nil; w = w.rest {
		if text, ok := w.texts[key]; ok {
			return text, true
		}
	}
	return "", false
}

// Say returns a text with its {names} filled in from pairs of name and value. With
// an n among them, "key.one" is taken for 1 and "key" for all others. A key without a
// text is returned as it is.
func (w *Words) Say(key string, pairs ...any) string {
	var fill []string
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1])
		if one := key + ".one"; name == "n" && value == "1" && w.Has(one) {
			key = one
		}
		fill = append(fill, "{"+name+"}", value)
	}
	text, ok := w.find(key)
	if !ok {
		return key
	}
	return strings.NewReplacer(fill...).Replace(text)
}

// Wait tells a short time: "20 seconds", "3 minutes".
func (w *Words) Wait(d time.Duration) string {
	if d <= 90*time.Second {
		return w.Say("seconds", "n", max(1, int((d+time.Second-1)/time.Second)))
	}
	return w.Say("minutes", "n", int((d+time.Minute-1)/time.Minute))
}

// Choose returns the language that a browser likes best, by its Accept-Language;
// English when it names none of ours (RFC 9110 §12.5.4; weights are taken to fall).
func Choose(accept string, from []*Words) *Words {
	for _, part := range strings.Split(accept, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		lang, _, _ := strings.Cut(strings.ToLower(tag), "-")
		for _, w := range from {
			if w.lang == lang {
				return w
			}
		}
	}
	return from[0]
}

type contextKey struct{}

// With has what is said on behalf of ctx be said in w.
func With(ctx context.Context, w *Words) context.Context {
	return context.WithValue(ctx, contextKey{}, w)
}

// In returns the language of ctx, English when it has none.
func In(ctx context.Context) *Words {
	w, _ := ctx.Value(contextKey{}).(*Words)
	return w.or()
}
