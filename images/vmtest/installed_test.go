package vmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"redhen/images/card"
	"redhen/images/layout"
)

// TestAnInstalledBoxIsInTheCircle has an ordinary Debian, on which redhen is installed by
// its own command, join the circle of a box with the image: files come, and people go on
// there when the house of the other one is dark.
func TestAnInstalledBoxIsInTheCircle(t *testing.T) {
	need(t, layout.AMD64, "all")
	disk := debian(t)
	houses := town(t, 2)
	mill, weir := houses[0], houses[1]

	one := settle(t, mill, fresh(t))
	answers(t, one, "/", "Hello")
	claim(t, one)
	anna := at(t, one, "anna", password).logsIn()
	anna.knowsWhereSheIs(mill)
	write(t, one, "before.txt", "written before there was a second house")

	two := start(t, Config{
		Board: layout.AMD64, Disk: disk, Dir: kernelOf(t), House: weir, Direct: true,
		Line: "root=/dev/vda rootfstype=ext4 rw init=/lib/systemd/systemd net.ifnames=0",
	})
	answers(t, two, "/", "Hello")
	clara := at(t, two, "clara", "seven warm eggs")
	clara.joins(anna.invites(), "The Weir", "weir")
	anna.letsIn(pace)
	anna.waits("safe in two houses", pace, safeIn(2))
	at(t, two, "anna", password).arrives()
	has(t, two, "before.txt", "written before there was a second house")
	write(t, two, "there.txt", "written at the installed box")
	has(t, one, "there.txt", "written at the installed box")

	one.Cut()
	has(t, two, "before.txt", "written before there was a second house")
	write(t, two, "dark.txt", "written while the other house is dark")
	two.Cut()
	two = start(t, two.Config)
	answers(t, two, "/healthz", "ok") // systemd starts it again by itself
	has(t, two, "dark.txt", "written while the other house is dark")
}

// kernelOf is a folder with the kernel of the image, which starts a Debian too.
func kernelOf(t *testing.T) (dir string) {
	t.Helper()
	f, err := os.Open(image(t, layout.AMD64))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fat, err := card.OpenFAT(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fat.Get(layout.A.Dir() + "/" + layout.KernelName)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kernel"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// debian is the disk of a Debian which runs redhen install at its first start.
func debian(t *testing.T) (disk string) {
	t.Helper()
	for _, tool := range []string{"debootstrap", "mke2fs"} {
		if _, err := exec.LookPath(tool); err != nil || os.Geteuid() != 0 {
			t.Skipf("%s is not installed, or this is not root: make setup", tool)
		}
	}
	root, disk := filepath.Join(t.TempDir(), "root"), filepath.Join(t.TempDir(), "disk")
	must(t, exec.Command("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,udev", "bookworm", root))
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(root, "root/redhen"), "redhen/cmd/redhen")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+layout.AMD64.Arch(), "CGO_ENABLED=0")
	must(t, build)
	for name, text := range map[string]string{
		"etc/systemd/network/eth0.network":  "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
		"etc/systemd/system/person.service": "[Unit]\nWants=network-online.target\nAfter=network-online.target\n[Service]\nType=oneshot\nExecStart=/root/redhen install\nStandardOutput=journal+console\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(t, exec.Command("chroot", root, "systemctl", "enable", "systemd-networkd", "systemd-networkd-wait-online"))
	must(t, exec.Command("chroot", root, "systemctl", "add-wants", "multi-user.target", "person.service"))
	must(t, exec.Command("mke2fs", "-q", "-t", "ext4", "-d", root, disk, "2G"))
	return disk
}

// must runs a program.
func must(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%.3000s", filepath.Base(cmd.Path), err, out)
	}
}
