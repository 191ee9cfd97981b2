package appliance

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/board/wifi"
)

// attic is a radio in a house with one network.
type attic struct {
	mu     sync.Mutex // guards what follows
	joined chan string
	link   string
}

func (r *attic) Scan(context.Context) ([]wifi.Seen, error) {
	return []wifi.Seen{{SSID: "Attic", Lock: wifi.WPA2, Signal: -5000}}, nil
}

func (r *attic) Join(n wifi.Network, _ wifi.Lock) error {
	key, err := n.Key()
	if err != nil {
		return err
	}
	ssid := n.SSID
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link = ssid
	r.joined <- ssid + "/" + string(key)
	return nil
}

func (r *attic) Leave() error { return nil }

func (r *attic) Link() (wifi.Link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return wifi.Link{SSID: r.link}, nil
}

func (r *attic) SetCountry(string) error { return nil }

// The networks of the card are joined, with a ready-made key as it is, and the trouble
// with them is told.
func TestTheCardsWifiIsJoined(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.Boot = t.TempDir()
	content := "name: Attic\npassword: " + strings.Repeat("41", 32) + "\n"
	if err := os.WriteFile(filepath.Join(cfg.Boot, "redhen-wifi.txt"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	radio := &attic{joined: make(chan string, 10)}
	cfg.Wifi = &Wifi{Open: func() (wifi.Radio, string, error) { return radio, "wlan0", nil }}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &box{a, end, make(chan error, 1)}
	go func() { b.ended <- a.Run(ctx) }()
	t.Cleanup(func() { b.stop(t) })
	select {
	case got := <-radio.joined:
		if got != "Attic/"+strings.Repeat("A", 32) {
			t.Errorf("joined %q", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing was joined")
	}
	if text := a.wifiTrouble(); text != "" {
		t.Errorf("trouble: %s", text)
	}
	cfg = config(t.TempDir())
	cfg.Wifi = &Wifi{Open: func() (wifi.Radio, string, error) { return nil, "", fs.ErrNotExist }}
	if a, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, end = context.WithCancel(t.Context())
	end()
	if err := a.Run(ctx); err != nil || a.wifiTrouble() != "" {
		t.Errorf("without a radio: %v", err)
	}
}
