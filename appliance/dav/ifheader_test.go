package dav

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The headers are those of RFC 4918 §10.4 and of clients seen.
func TestParseIf(t *testing.T) {
	const a, b = "urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2", "urn:uuid:58f202ac-22cf-11d1-b12d-002035b29092"
	tests := map[string]ifHeader{
		"":                         nil,
		"(<" + a + "> [\"I am\"])": {{conditions: []ifCondition{{token: a}, {etag: `"I am"`}}}},
		"(<" + a + ">) (Not<" + b + ">)": {
			{conditions: []ifCondition{{token: a}}}, {conditions: []ifCondition{{not: true, token: b}}}},
		"(Not <" + a + "> <" + b + ">)": {{conditions: []ifCondition{{not: true, token: a}, {token: b}}}},
		"</r1> (<" + a + "> [W/\"A\"]) ([\"B\"])": {
			{"/r1", []ifCondition{{token: a}, {etag: `W/"A"`}}}, {"/r1", []ifCondition{{etag: `"B"`}}}},
		"<http://h/x>(<" + a + ">)<http://h/y>(<DAV:no-lock>)": {
			{"http://h/x", []ifCondition{{token: a}}}, {"http://h/y", []ifCondition{{token: "DAV:no-lock"}}}},
	}
	for in, want := range tests {
		got, err := parseIf(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(ifList{}, ifCondition{})); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
}

func TestParseIfRefuses(t *testing.T) {
	for _, in := range []string{
		"(", "()", "<a>", "<a> <b> (<c>)", "(<a>) <b> (<c>)", "(<a)", "([a)", "(a)", "(Not)", "(<>)", "([])", "x(<a>)",
		"<>(<a>)", "(<a>", "(" + strings.Repeat("<a>", maxConditions+1) + ")",
	} {
		if h, err := parseIf(in); err == nil {
			t.Errorf("%q: accepted as %v", in, h)
		}
	}
}

func TestIfHeaderHolds(t *testing.T) {
	state := func(resource string) (resourceState, error) {
		if resource == "/other" {
			return resourceState{}, nil
		}
		return resourceState{etag: `"1"`, tokens: []string{"urn:a", "urn:b"}}, nil
	}
	for in, want := range map[string]bool{
		``:                              true,
		`(<urn:a>)`:                     true,
		`(<urn:b> ["1"])`:               true,
		`(<urn:a> ["2"])`:               false,
		`(<urn:c>) (["1"])`:             true,
		`(Not <urn:c>)`:                 true,
		`(Not <urn:a>)`:                 false,
		`(<DAV:no-lock>)`:               false,
		`(<urn:a>) (Not <DAV:no-lock>)`: true,
		`</other> (<urn:a>)`:            false,
		`</other> (Not ["1"])`:          true,
	} {
		h, err := parseIf(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := h.holds(state); err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", in, got, err, want)
		}
	}
}

func FuzzParseIf(f *testing.F) {
	f.Add(`<http://h/x> (<urn:a> ["e"]) (Not <urn:b>)`)
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseIf(s)
		if err != nil {
			return
		}
		for _, l := range h {
			for _, c := range l.conditions {
				if (c.token == "") == (c.etag == "") {
					t.Errorf("%q: condition %+v", s, c)
				}
			}
		}
	})
}
