package dav

import (
	"errors"
	"strings"
)

// maxConditions bounds what one If header may ask.
const maxConditions = 256

// errBadIf says that an If header does not follow its grammar.
var errBadIf = errors.New("dav: not a valid If header")

// An ifHeader is a parsed If header (RFC 4918 §10.4): it holds when one of its
// lists does.
type ifHeader []ifList

// An ifList holds when all its conditions do.
type ifList struct {
	resource   string // the URL that the list is about; empty: that of the request
	conditions []ifCondition
}

// An ifCondition names a lock token or an entity tag; exactly one of them.
type ifCondition struct {
	not         bool
	token, etag string
}

// parseIf reads an If header; an empty one asks nothing.
func parseIf(s string) (ifHeader, error) {
	var h ifHeader
	var resource string
	s = strings.TrimLeft(s, " \t")
	tagged := strings.HasPrefix(s, "<")
	for count := 0; s != ""; s = strings.TrimLeft(s, " \t") {
		var ok bool
		if s[0] == '<' && tagged {
			if resource, s, ok = enclosed(s, '>'); !ok || resource == "" || !strings.HasPrefix(strings.TrimLeft(s, " \t"), "(") {
				return nil, errBadIf
			}
			continue
		}
		list, rest, ok := parseIfList(s)
		if count += len(list.conditions); !ok || count > maxConditions {
			return nil, errBadIf
		}
		list.resource = resource
		h, s = append(h, list), rest
	}
	return h, nil
}

// parseIfList reads "(" 1*Condition ")".
func parseIfList(s string) (l ifList, rest string, ok bool) {
	if s[0] != '(' {
		return l, "", false
	}
	s = s[1:]
	for {
		s = strings.TrimLeft(s, " \t")
		if strings.HasPrefix(s, ")") {
			return l, s[1:], len(l.conditions) > 0
		}
		var c ifCondition
		if len(s) > 3 && strings.EqualFold(s[:3], "not") {
			c.not, s = true, strings.TrimLeft(s[3:], " \t")
		}
		switch {
		case strings.HasPrefix(s, "<"):
			c.token, s, ok = enclosed(s, '>')
			ok = ok && c.token != ""
		case strings.HasPrefix(s, "["):
			c.etag, s, ok = enclosed(s, ']')
			ok = ok && c.etag != ""
		default:
			ok = false
		}
		if !ok {
			return l, "", false
		}
		l.conditions = append(l.conditions, c)
	}
}

// enclosed returns what stands between the first byte of s and the next end.
func enclosed(s string, end byte) (inside, rest string, ok bool) {
	i := strings.IndexByte(s, end)
	if i < 0 {
		return "", "", false
	}
	return s[1:i], s[i+1:], true
}

// tokens returns the lock tokens that the header submits. A token counts as
// submitted wherever it stands (RFC 4918 §10.4.1).
func (h ifHeader) tokens() []string {
	var all []string
	for _, l := range h {
		for _, c := range l.conditions {
			if c.token != "" {
				all = append(all, c.token)
			}
		}
	}
	return all
}

// A resourceState is what conditions are judged against.
type resourceState struct {
	etag   string // with its quotes; empty: there is no such file
	tokens []string
}

// holds judges the header. state returns what is true of a resource of the header;
// an unknown resource has the zero state.
func (h ifHeader) holds(state func(resource string) (resourceState, error)) (bool, error) {
	if len(h) == 0 {
		return true, nil
	}
	for _, l := range h {
		s, err := state(l.resource)
		if err != nil {
			return false, err
		}
		if l.holds(s) {
			return true, nil
		}
	}
	return false, nil
}

func (l ifList) holds(s resourceState) bool {
	for _, c := range l.conditions {
		met := c.etag != "" && c.etag == s.etag
		for _, t := range s.tokens {
			met = met || c.token != "" && c.token == t
		}
		if met == c.not {
			return false
		}
	}
	return true
}
