package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"redhen/appliance/circle"
	"redhen/appliance/home"
	"redhen/appliance/space"
	"redhen/appliance/status"
	"redhen/appliance/words"
	"redhen/provision/ident"
	"redhen/raftnode/directory"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// Status tells how the circle is; *status.Watch does.
type Status interface {
	status.Reporter
	Diary(in *words.Words, limit int) ([]status.Line, error)
}

var _ Status = (*status.Watch)(nil)

// Spaces gives all spaces, whoever owns them.
type Spaces interface {
	// All returns the spaces by their names.
	All() ([]directory.Space, error)
	// OwnersView returns the view of a space that its owner has, space.ErrNotFound when there is none of the name.
	OwnersView(name string) (*space.FS, error)
}

// Config is what the interface shows. All fields are needed, but for Bakery, Updates and Disks.
type Config struct {
	Box     func() Box
	Circle  *circle.Circle
	Home    Home
	Status  Status
	Spaces  Spaces
	Care    Care
	Drills  Drills
	Bakery  Bakery    // nil: the box does not run from a card
	Updates Updates   // nil: the same
	Disks   DataDisks // nil: the same
	// SetStrangers switches the help of strangers on or off.
	SetStrangers func(on bool) error
	Naming       Naming
	Logger       *slog.Logger
}

// Home is where boxes wait that were given up and are back; *home.Home is one.
type Home interface {
	Returns() []home.Return
	LetIn(ctx context.Context, box ident.BoxID) error
	Refuse(box ident.BoxID) error
	Keep(house string, key ident.Key) error
}

var _ Home = (*home.Home)(nil)

type server struct{ Config }

// New returns the interface as a handler.
func New(cfg Config) http.Handler {
	s := &server{cfg}
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			out, err := answer(r)
			s.answer(w, out, err)
		})
	}
	handle("GET /v1/box", func(*http.Request) (any, error) { return s.Box(), nil })
	handle("GET /v1/status", s.report)
	handle("GET /v1/diary", s.diary)
	mux.HandleFunc("POST /v1/scrub", s.scrub)
	mux.HandleFunc("POST /v1/drill", s.drill)
	handle("GET /v1/drill", s.lastDrill)
	handle("PUT /v1/drill/consent", s.consent)
	handle("PUT /v1/strangers", s.setStrangers)
	s.nameRoutes(handle)
	handle("POST /v1/found", s.found)
	mux.HandleFunc("POST /v1/join", s.join)
	handle("GET /v1/invites", s.invites)
	handle("POST /v1/invites/box", s.inviteBox)
	handle("POST /v1/gifts", s.gift)
	handle("GET /v1/cards", s.cards)
	handle("GET /v1/disks", s.dataDisks)
	handle("POST /v1/disks", s.chooseDisk)
	handle("GET /v1/update", s.update)
	handle("POST /v1/update", s.orderUpdate)
	mux.HandleFunc("PUT /v1/update", s.takeUpdate)
	handle("POST /v1/invites/account", s.inviteAccount)
	handle("DELETE /v1/invites/{ticket}", s.revoke)
	handle("POST /v1/waiting/{box}", s.approve)
	handle("DELETE /v1/waiting/{box}", s.reject)
	handle("GET /v1/gone", s.brief)
	handle("POST /v1/gone", s.gone)
	mux.HandleFunc("POST /v1/retire", s.retire)
	handle("DELETE /v1/retire", s.stay)
	handle("POST /v1/takeover", s.takeover)
	handle("POST /v1/keep", s.keep)
	handle("GET /v1/accounts", s.accounts)
	handle("POST /v1/accounts", s.addAccount)
	handle("DELETE /v1/accounts/{login}", s.removeAccount)
	handle("PUT /v1/accounts/{login}/password", s.setPassword)
	handle("GET /v1/accounts/{login}/devices", s.devices)
	handle("POST /v1/accounts/{login}/devices", s.addDevice)
	handle("DELETE /v1/accounts/{login}/devices/{id}", s.removeDevice)
	handle("GET /v1/spaces", s.spaces)
	handle("GET /v1/spaces/{space}/tree", s.list)
	mux.HandleFunc("GET /v1/spaces/{space}/file", s.file)
	mux.Handle("GET /metrics", status.Metrics(cfg.Status))
	handle("/", func(*http.Request) (any, error) {
		return nil, &Error{CodeBadRequest, "This box does not know that request. Nothing was changed. Use a redhen of the same version as the box."}
	})
	return mux
}

// answer writes what came out, or the error in words.
func (s *server) answer(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		s.fail(w, err)
		return
	}
	if out == nil {
		out = struct{}{}
	}
	b, err := json.Marshal(out)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Write(append(b, '\n'))
}

func (s *server) fail(w http.ResponseWriter, err error) {
	words, code := explain(err)
	if words.Code == CodeInside {
		s.Logger.Error("local request", "err", err)
	}
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(words)
}

// decode reads the body of a request.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{CodeBadRequest, "That request is too long. Nothing was changed. Use shorter names."}
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return &Error{CodeBadRequest, "This box could not read the request. Nothing was changed. Use a redhen of the same version as the box."}
	}
	return err
}

func (s *server) report(r *http.Request) (any, error) {
	if !s.Circle.Claimed() {
		return nil, circle.ErrNoCircle
	}
	return s.Status.Report(r.Context())
}

func (s *server) setStrangers(r *http.Request) (any, error) {
	var in Switch
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return nil, s.SetStrangers(in.On)
}

func (s *server) diary(r *http.Request) (any, error) {
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 1 || limit > directory.MaxDiary {
		limit = 100
	}
	lines, err := s.Status.Diary(words.In(r.Context()), limit)
	if lines == nil {
		lines = []status.Line{}
	}
	return lines, err
}

func (s *server) spaces(*http.Request) (any, error) {
	all, err := s.Spaces.All()
	if err != nil {
		return nil, err
	}
	owners, err := s.logins()
	list := []Space{}
	for _, sp := range all {
		list = append(list, Space{sp.Name, sp.Title, owners[sp.Owner], sp.WantedCopies()})
	}
	return list, err
}

func (s *server) list(r *http.Request) (any, error) {
	fs, err := s.Spaces.OwnersView(r.PathValue("space"))
	if err != nil {
		return nil, err
	}
	p, err := space.Clean(r.FormValue("path"))
	if err != nil {
		return nil, err
	}
	infos, err := fs.List(r.Context(), p)
	list := []Entry{}
	for _, i := range infos {
		list = append(list, Entry{i.Path, i.Name, i.Dir, i.Size, i.ModTime, i.ETag()})
	}
	return list, err
}

// file sends the newest version of a file. A body that breaks off is shorter than announced.
func (s *server) file(w http.ResponseWriter, r *http.Request) {
	f, err := s.open(r)
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(f.Info().Size, 10))
	if _, err := io.Copy(w, f); err != nil && r.Context().Err() == nil {
		s.Logger.Warn("local read broke off", "err", err)
	}
}

func (s *server) open(r *http.Request) (*space.File, error) {
	fs, err := s.Spaces.OwnersView(r.PathValue("space"))
	if err != nil {
		return nil, err
	}
	p, err := space.Clean(r.FormValue("path"))
	if err != nil {
		return nil, err
	}
	return fs.Open(r.Context(), p)
}
