package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// step is one line of an answer that comes bit by bit.
type step interface {
	// end says whether the line is the last one, and with what error.
	end() (bool, *Error)
}

func (s Step) end() (bool, *Error)      { return s.Done, s.Error }
func (r Retiring) end() (bool, *Error)  { return r.Done, r.Error }
func (s Scrubbing) end() (bool, *Error) { return s.Result != nil, s.Error }
func (d DrillStep) end() (bool, *Error) { return d.Report != nil, d.Error }

// telling begins an answer of lines, and returns what sends one. A client that is gone
// ends the request's context.
func telling[S step](w http.ResponseWriter) func(S) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines, now := json.NewEncoder(w), http.NewResponseController(w)
	return func(line S) {
		lines.Encode(line)
		now.Flush()
	}
}

// trouble explains an error in the last line of an answer; the box's own fault goes to its log too.
func (s *server) trouble(what string, err error) *Error {
	words, _ := explain(err)
	if words.Code == CodeInside {
		s.Logger.Error(what, "err", err)
	}
	return words
}

// followed asks, and tells each line as it comes but for the last, which it returns.
func followed[S step](ctx context.Context, c *Client, path string, in any, tell func(S)) (last S, err error) {
	resp, err := c.do(ctx, "POST", path, in)
	if err != nil {
		return last, err
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	for {
		var line S
		if err := lines.Decode(&line); err != nil {
			return last, c.noAnswer(ctx, err)
		}
		switch end, trouble := line.end(); {
		case trouble != nil:
			return last, trouble
		case end:
			return line, nil
		}
		tell(line)
	}
}
