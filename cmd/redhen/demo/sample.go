package demo

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

type buffer = bytes.Buffer

func reader(s string) io.Reader { return strings.NewReader(s) }

// sample is a request that makes one of the sample files.
type sample struct{ method, path, body string }

func samples() []sample {
	return []sample{
		{http.MethodPut, "/Read me first.txt", "This file is kept in several houses.\n\nChange it in one of them, and look in another.\n"},
		{"MKCOL", "/Recipes", ""},
		{http.MethodPut, "/Recipes/Pancakes.txt", "3 eggs, 250 g flour, 1/2 l milk, a pinch of salt.\n"},
		{http.MethodPut, "/Recipes/Shopping.txt", "eggs\nflour\nmilk\n"},
		{"MKCOL", "/Pictures", ""},
		{http.MethodPut, "/Pictures/Hen.svg", hen},
	}
}

const hen = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><path d="M20 60c0-25 20-35 35-30l15-15 5 15c10 5 10 40-15 50H40c-12 0-20-8-20-20z" fill="#b5452c"/><circle cx="68" cy="32" r="3" fill="#fff"/><path d="M76 34l12 4-12 4z" fill="#e8a33d"/></svg>
`
