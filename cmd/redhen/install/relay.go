package install

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Where a relay is, below Config.Root. Program and user are those of a box.
const (
	RelayUnit     = "/etc/systemd/system/redhen-relay.service"
	RelaySettings = "/etc/default/redhen-relay"
	RelayState    = "/var/lib/redhen-relay"
)

var (
	//go:embed files/redhen-relay.service
	relayUnit string
	//go:embed files/redhen-relay.default
	relaySettings string
)

// Relay says for whom a relay is installed, and how much it passes on.
type Relay struct {
	Allow   []string // keys of circles
	DailyGB int      // for each circle; 0 = as before, or no bound
	Metrics string   // host:port; "" = as before, or nowhere
}

// ErrNobody says that no circle was named, now or before.
var ErrNobody = errors.New("the relay is for no circle")

// InstallRelay makes this machine a relay, or changes one: settings that are there stay,
// but for those that are named. A box may be installed beside it, on another port.
func InstallRelay(ctx context.Context, c Config, r Relay) error {
	if err := c.mayRelay(); err != nil {
		return err
	}
	values, err := c.relayValues(r)
	if err != nil {
		return err
	}
	if err := c.copyProgram(); err != nil {
		return err
	}
	for path, content := range map[string]string{
		RelayUnit: strings.ReplaceAll(relayUnit, "@PROGRAM@", Program), Sysusers: sysusers, RelaySettings: values,
	} {
		if err := replace(c.path(path), strings.NewReader(content), 0o644); err != nil {
			return err
		}
	}
	if err := c.makeUser(ctx); err != nil {
		return err
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "redhen-relay.service"}, {"restart", "redhen-relay.service"}} {
		if err := c.Run(ctx, "systemctl", args...); err != nil {
			return err
		}
	}
	c.say("The relay runs, and starts with the machine. journalctl -u redhen-relay tells its name, which the boxes need.")
	return nil
}

func (c *Config) mayRelay() error {
	switch {
	case c.UID != 0:
		return ErrNotRoot
	case !c.there(running):
		return ErrNoSystemd
	}
	return nil
}

// relayValues returns the settings file.
func (c *Config) relayValues(r Relay) (string, error) {
	kept, err := os.ReadFile(c.path(RelaySettings))
	if errors.Is(err, fs.ErrNotExist) {
		kept, err = []byte(relaySettings), nil
	}
	if err != nil {
		return "", fmt.Errorf("install: %w", err)
	}
	values := string(kept)
	if len(r.Allow) > 0 {
		values = setting(values, "REDHEN_ALLOW", strings.Join(r.Allow, ","))
	}
	if strings.Contains("\n"+values, "\nREDHEN_ALLOW=\n") {
		return "", ErrNobody
	}
	if c.P2P != 0 {
		values = setting(values, "REDHEN_P2P", strconv.Itoa(c.P2P))
	}
	if r.DailyGB != 0 {
		values = setting(values, "REDHEN_DAILY_GB", strconv.Itoa(r.DailyGB))
	}
	if r.Metrics != "" {
		values = setting(values, "REDHEN_METRICS", r.Metrics)
	}
	return values, nil
}

// UninstallRelay stops the relay and takes it away, but for its key, so that it comes back
// under the same name. The program stays while a box uses it.
func UninstallRelay(ctx context.Context, c Config) error {
	switch {
	case c.UID != 0:
		return ErrNotRoot
	case !c.there(RelayUnit):
		return ErrAbsent
	}
	if c.there(running) {
		if err := c.Run(ctx, "systemctl", "disable", "--now", "redhen-relay.service"); err != nil {
			return err
		}
	}
	files := []string{RelayUnit, RelaySettings}
	if !c.there(Unit) && !c.there(packaged) {
		files = append(files, Sysusers, Program)
	}
	for _, p := range files {
		if err := os.Remove(c.path(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("uninstall: %w", err)
		}
	}
	if c.there(running) {
		if err := c.Run(ctx, "systemctl", "daemon-reload"); err != nil {
			return err
		}
	}
	c.say("The relay is not installed any more. Its key is still in %s: install it again, and the boxes know it.", RelayState)
	return nil
}
