package certs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"redhen/appliance/vault"
	"redhen/raftnode/directory"
)

// shelf is a vault in memory. Leases it has none.
type shelf struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (s *shelf) Get(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.all[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (s *shelf) Put(_ context.Context, name string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := directory.CheckSealedName("value/" + name); err != nil {
		return err
	}
	s.all[name] = value
	return nil
}

func (s *shelf) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.all {
		if n == name || strings.HasPrefix(n, name+"/") {
			delete(s.all, n)
		}
	}
	return nil
}

func (s *shelf) Names(below string) (names []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.all {
		if strings.HasPrefix(n, below+"/") {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *shelf) Stat(name string) (time.Time, int64, error) {
	b, err := s.Get(name)
	return time.Unix(1, 0), int64(len(b)), err
}

func (s *shelf) Take(context.Context, string) (*vault.Lease, error) {
	return nil, errors.New("not in this test")
}

func (s *shelf) News() <-chan struct{} { return make(chan struct{}) }

// What certmagic relies on (its storage.go).
func TestStorage(t *testing.T) {
	s := newStorage(&shelf{all: map[string][]byte{}})
	ctx := t.Context()
	ca := certmagic.StorageKeys.CertsPrefix("acme-v02.api.letsencrypt.org-directory")
	crt := certmagic.StorageKeys.SiteCert("acme-v02.api.letsencrypt.org-directory", "*.hens.dedyn.io")
	for _, key := range []string{crt, ca + "/b/b.key", "acme/users/x.json"} {
		if err := s.Store(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Load(ctx, crt); err != nil || string(b) != crt {
		t.Errorf("load: %q %v", b, err)
	}
	if _, err := s.Load(ctx, "acme"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load of a folder: %v", err)
	}
	if !s.Exists(ctx, crt) || !s.Exists(ctx, ca) || s.Exists(ctx, "acm") {
		t.Error("exists")
	}
	folder := strings.TrimSuffix(crt, "/wildcard_.hens.dedyn.io.crt")
	for _, tc := range []struct {
		dir       string
		recursive bool
		want      []string
	}{
		{"", false, []string{"acme", "certificates"}},
		{ca, false, []string{ca + "/b", folder}},
		{ca, true, []string{ca + "/b", ca + "/b/b.key", folder, crt}},
		{"acme/users", false, []string{"acme/users/x.json"}},
	} {
		got, err := s.List(ctx, tc.dir, tc.recursive)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("list %q %v: %q %v", tc.dir, tc.recursive, got, err)
		}
	}
	if _, err := s.List(ctx, "nothing", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list of nothing: %v", err)
	}
	if i, err := s.Stat(ctx, crt); err != nil || !i.IsTerminal || i.Size == 0 {
		t.Errorf("stat: %+v %v", i, err)
	}
	if i, err := s.Stat(ctx, ca); err != nil || i.IsTerminal {
		t.Errorf("stat of a folder: %+v %v", i, err)
	}
	if _, err := s.Stat(ctx, "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of nothing: %v", err)
	}
	if err := errors.Join(s.Delete(ctx, ca), s.Delete(ctx, ca)); err != nil {
		t.Error(err)
	}
	if s.Exists(ctx, crt) || !s.Exists(ctx, "acme/users/x.json") {
		t.Error("after the deletion")
	}
	if err := directory.CheckSealedName("lease/" + leaseName("issue_cert_*.hens.dedyn.io")); err != nil {
		t.Error(err)
	}
	if err := s.Unlock(ctx, "x"); err == nil {
		t.Error("unlocked what was not locked")
	}
}

func TestNothingIsServedWithoutAName(t *testing.T) {
	c, err := New(Config{Vault: &shelf{all: map[string][]byte{}}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Has("hens.dedyn.io") || !c.Held("hens.dedyn.io").Ends.IsZero() {
		t.Error("a certificate from nowhere")
	}
	if err := c.Want(t.Context(), Order{}); err != nil {
		t.Error(err)
	}
	if err := c.Replace(t.Context()); err != nil {
		t.Error(err)
	}
	c.Close()
}

func TestWhatTheLibraryLogsIsForOperators(t *testing.T) {
	var b bytes.Buffer
	log := newZap(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.With(zap.String("name", "x")).Error("no luck", zap.Int("attempt", 3))
	if s := b.String(); !strings.Contains(s, "level=DEBUG") || !strings.Contains(s, "no luck") || !strings.Contains(s, "attempt:3") || !strings.Contains(s, "name:x") {
		t.Errorf("logged %q", s)
	}
	b.Reset()
	newZap(slog.New(slog.NewTextHandler(&b, nil))).Error("no luck")
	if b.Len() > 0 {
		t.Errorf("logged %q", b.String())
	}
}
