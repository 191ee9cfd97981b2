// Package install makes a box of a Linux machine with systemd: a user, a folder for
// what the box keeps, a hardened unit. Taking it away again leaves the folder.
package install

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Where everything is, below Config.Root.
const (
	Program  = "/usr/local/bin/redhen"
	Unit     = "/etc/systemd/system/redhen.service"
	Sysusers = "/etc/sysusers.d/redhen.conf"
	Settings = "/etc/default/redhen"
	State    = "/var/lib/redhen"

	packaged = "/usr/lib/systemd/system/redhen.service" // of the Debian package
	running  = "/run/systemd/system"                    // there while systemd runs
)

var (
	//go:embed files/redhen.service
	unit string
	//go:embed files/redhen.sysusers
	sysusers string
	//go:embed files/redhen.default
	settings string
)

// Errors that the command turns into sentences.
var (
	ErrNotRoot   = errors.New("only root can install a box")
	ErrNoSystemd = errors.New("this machine has no systemd")
	ErrPackaged  = errors.New("the Debian package of redhen is installed")
	ErrAbsent    = errors.New("no box is installed")
	ErrPortTaken = errors.New("another program uses the address of the pages")
)

// Config says what to install. Zero values mean the default, but for From and Run.
type Config struct {
	From string // the program to install
	HTTP string // where the pages are; "" = :80
	P2P  int    // 0 = 4717
	Root string // below which the files go; "" = /
	Out  io.Writer

	// Run runs a program of the machine and waits for it.
	Run func(ctx context.Context, name string, args ...string) error
	// UID is who asks; 0 is root.
	UID int
}

func (c *Config) path(p string) string { return filepath.Join("/", c.Root, p) }

func (c *Config) there(p string) bool {
	_, err := os.Stat(c.path(p))
	return err == nil
}

func (c *Config) say(format string, args ...any) { fmt.Fprintf(c.Out, format+"\n", args...) }

// Install makes this machine a box, or brings the program of an installed one up to
// date. Settings that are there stay, but for those that are named. Without a running
// systemd, as in a chroot, everything is put in place and nothing started.
func Install(ctx context.Context, c Config) error {
	if err := c.mayInstall(); err != nil {
		return err
	}
	if err := c.writeFiles(); err != nil {
		return err
	}
	if err := c.makeUser(ctx); err != nil {
		return err
	}
	if !c.there(running) {
		if err := c.enableByHand(); err != nil {
			return err
		}
		c.say("Everything is in place. systemd does not run here, so the box starts with the machine.")
		return nil
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "redhen.service"}, {"restart", "redhen.service"}} {
		if err := c.Run(ctx, "systemctl", args...); err != nil {
			return err
		}
	}
	c.say("The box runs, and starts with the machine. What it keeps is in %s.", State)
	return nil
}

func (c *Config) mayInstall() error {
	switch {
	case c.UID != 0:
		return ErrNotRoot
	case c.there(packaged):
		return ErrPackaged
	case !c.there("/usr/lib/systemd/systemd") && !c.there("/lib/systemd/systemd"):
		return ErrNoSystemd
	}
	if c.there(Unit) || !c.there(running) {
		return nil // its own box may hold the port
	}
	pages := c.HTTP
	if pages == "" {
		pages = ":80"
	}
	l, err := net.Listen("tcp", pages)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPortTaken, err)
	}
	return l.Close()
}

func (c *Config) writeFiles() error {
	if err := c.copyProgram(); err != nil {
		return err
	}
	kept, err := os.ReadFile(c.path(Settings))
	if errors.Is(err, fs.ErrNotExist) {
		kept, err = []byte(settings), nil
	}
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	values := string(kept)
	if c.HTTP != "" {
		values = setting(values, "REDHEN_HTTP", c.HTTP)
	}
	if c.P2P != 0 {
		values = setting(values, "REDHEN_P2P", strconv.Itoa(c.P2P))
	}
	for path, content := range map[string]string{
		Unit: strings.ReplaceAll(unit, "@PROGRAM@", Program), Sysusers: sysusers, Settings: values,
	} {
		if err := replace(c.path(path), strings.NewReader(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// setting replaces the line of a name, or adds one.
func setting(file, name, value string) string {
	lines := strings.Split(strings.TrimRight(file, "\n"), "\n")
	done := false
	for i, l := range lines {
		if strings.HasPrefix(l, name+"=") {
			lines[i], done = name+"="+value, true
		}
	}
	if !done {
		lines = append(lines, name+"="+value)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (c *Config) copyProgram() error {
	from, err := os.Open(c.From)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	defer from.Close()
	a, err := from.Stat()
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if b, err := os.Stat(c.path(Program)); err == nil && os.SameFile(a, b) {
		return nil
	}
	return replace(c.path(Program), from, 0o755)
}

// replace writes a file beside the old one and takes its place: a program that runs
// cannot be written over, and a power cut leaves the old or the new one.
func replace(path string, content io.Reader, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".redhen-*")
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	_, err = io.Copy(f, content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("install: %w", err)
	}
	return nil
}

// makeUser makes the user of the box, by systemd or by hand.
func (c *Config) makeUser(ctx context.Context) error {
	args := []string{Sysusers}
	if c.Root != "" {
		args = []string{"--root=" + c.Root, Sysusers}
	}
	err := c.Run(ctx, "systemd-sysusers", args...)
	if err == nil {
		return nil
	}
	if c.Root != "" {
		return err
	}
	again := c.Run(ctx, "useradd", "--system", "--home-dir", State, "--no-create-home", "--shell", "/usr/sbin/nologin", "--user-group", "redhen")
	if again != nil {
		return errors.Join(err, again)
	}
	return nil
}

// enableByHand has the unit start with the machine: what systemctl enable does.
func (c *Config) enableByHand() error {
	link := c.path("/etc/systemd/system/multi-user.target.wants/redhen.service")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := os.Symlink(Unit, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("install: %w", err)
	}
	return nil
}

// Uninstall stops the box and takes away what Install put in place, but for what the
// box keeps, and the user whom that belongs to.
func Uninstall(ctx context.Context, c Config) error {
	switch {
	case c.UID != 0:
		return ErrNotRoot
	case c.there(packaged):
		return ErrPackaged
	case !c.there(Unit):
		return ErrAbsent
	}
	if c.there(running) {
		if err := c.Run(ctx, "systemctl", "disable", "--now", "redhen.service"); err != nil {
			return err
		}
	}
	for _, p := range []string{"/etc/systemd/system/multi-user.target.wants/redhen.service", Unit, Sysusers, Settings, Program} {
		if err := os.Remove(c.path(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("uninstall: %w", err)
		}
	}
	if c.there(running) {
		if err := c.Run(ctx, "systemctl", "daemon-reload"); err != nil {
			return err
		}
	}
	c.say("The box is not installed any more. What it kept is still in %s: install it again, and it goes on. To give up its place in the circle, its friends say that it is gone.", State)
	return nil
}
