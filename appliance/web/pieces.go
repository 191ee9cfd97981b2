package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"redhen/appliance/space"
	"redhen/appliance/web/upload"
)

// The protocol of uploads in pieces, for the script of the pages; without it the
// same form sends everything at once. All answers are JSON.
//
//	POST /upload/SPACE/PATH?size=N&modified=MS   begins, or finds what is under way: {"id", "at"}
//	GET  /uploads/ID                             how far it is: {"id", "at", "done"}
//	PUT  /uploads/ID?at=N                        bytes from N on; 409 when N is not where it is
//	POST /uploads/ID/stop                        gives it up
//	POST /files/SPACE/FOLDER?do=uploaded         ids of finished ones: the page that says what became of them
//
// What went wrong comes as {"why"}: a sentence; with "again" when it is worth trying.
type pieceAnswer struct {
	ID    string `json:"id,omitempty"`
	At    int64  `json:"at"`
	Done  bool   `json:"done,omitempty"`
	Kept  int    `json:"kept,omitempty"`
	Why   string `json:"why,omitempty"`
	Again bool   `json:"again,omitempty"`
}

func (q *request) answerPiece(code int, a pieceAnswer) error {
	q.W.Header().Set("Content-Type", "application/json")
	q.W.WriteHeader(code)
	if err := json.NewEncoder(q.W).Encode(a); err != nil {
		return nil // the browser left
	}
	return nil
}

// pieceState answers for an upload, or for what went wrong with it.
func (q *request) pieceState(id string, st upload.State, err error) error {
	a := pieceAnswer{ID: id, At: st.At, Done: st.Done, Kept: st.Answer.Kept}
	switch {
	case err == nil:
		return q.answerPiece(http.StatusOK, a)
	case errors.Is(err, upload.ErrElsewhere):
		a.Again = true
		return q.answerPiece(http.StatusConflict, a)
	case errors.Is(err, upload.ErrBusy):
		a.Again, a.Why = true, q.Say("upload.busy")
		return q.answerPiece(http.StatusServiceUnavailable, a)
	case errors.Is(err, upload.ErrUnknown):
		a.Why = q.Say("upload.unknown")
		return q.answerPiece(http.StatusNotFound, a)
	}
	why := space.ExplainIn(q.Words, err)
	if why.Status == http.StatusInternalServerError {
		q.cfg.Logger.Error("upload", "err", err)
	}
	a.Why, a.Again = why.String(), errors.Is(err, space.ErrCut)
	return q.answerPiece(why.Status, a)
}

func (q *request) beginUpload() error {
	p, err := q.place()
	if err != nil {
		return q.pieceState("", upload.State{}, err)
	}
	size, err := strconv.ParseInt(q.R.FormValue("size"), 10, 64)
	if err != nil || size < 0 {
		return q.pieceState("", upload.State{}, space.ErrCut)
	}
	f := upload.File{Owner: q.Who.Account, Space: p.space, Path: p.path, Size: size}
	var when time.Time
	if ms, err := strconv.ParseInt(q.R.FormValue("modified"), 10, 64); err == nil && ms > 0 {
		f.Modified, when = ms, time.UnixMilli(ms)
	}
	life := context.WithoutCancel(q.R.Context()) // until Run ends
	id, at, err := q.uploads.Begin(life, f, func(ctx context.Context, r io.Reader) (space.Answer, error) {
		return p.fs.Put(ctx, p.path, r, space.PutOptions{Size: size, ModTime: when})
	})
	return q.pieceState(id, upload.State{At: at}, err)
}

func (q *request) lookUpload() error {
	id := q.R.PathValue("id")
	st, err := q.uploads.Look(q.Who.Account, id)
	return q.pieceState(id, st, err)
}

func (q *request) takePiece() error {
	id := q.R.PathValue("id")
	at, err := strconv.ParseInt(q.R.URL.Query().Get("at"), 10, 64)
	if err != nil {
		return q.pieceState(id, upload.State{}, upload.ErrElsewhere)
	}
	st, err := q.uploads.Piece(q.R.Context(), q.Who.Account, id, at, q.R.Body)
	return q.pieceState(id, st, err)
}

func (q *request) stopUpload() error {
	id := q.R.PathValue("id")
	err := q.uploads.Stop(q.Who.Account, id)
	return q.pieceState(id, upload.State{}, err)
}

// uploaded says what became of uploads in pieces, as of those in a form.
func (p place) uploaded() error {
	f, err := p.Form()
	if err != nil {
		return err
	}
	var u uploaded
	for _, id := range p.R.Form["id"] {
		if st, err := p.uploads.Look(p.Who.Account, id); err == nil && st.Done {
			u.add(p, st.Answer)
		}
	}
	names, whys := p.R.Form["failed"], p.R.Form["why"]
	for i, name := range names {
		if i < len(whys) {
			u.bad = true
			u.lines = append(u.lines, p.Say("upload.failed", "name", name, "why", whys[i]))
		}
	}
	if u.stored == 0 && !u.bad {
		return p.showFolder(f)
	}
	return p.backTo(p.path, u.note(p))
}
