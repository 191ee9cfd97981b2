package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/account"
	"redhen/appliance/api"
)

func (a *app) accountCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "The people of the circle, and their device passwords"}
	device := &cobra.Command{Use: "device", Short: "Passwords of single programs and machines"}
	device.AddCommand(a.deviceAddCommand(), a.deviceListCommand(), a.deviceRemoveCommand())
	cmd.AddCommand(a.accountAddCommand(), a.accountListCommand(), a.accountPasswordCommand(), a.accountRemoveCommand(), device)
	return cmd
}

func (a *app) accountAddCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add LOGIN", Short: "Add a person (password on the input)", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := api.NewAccount{Login: account.CleanName(args[0]), FullName: name}
			var err error
			if n.Password, err = a.password("Password for " + n.Login); err != nil {
				return err
			}
			made, err := a.box().AddAccount(cmd.Context(), n)
			if err != nil {
				return err
			}
			return a.show(made, func(w io.Writer) { fmt.Fprintf(w, "%s may log in at every house.\n", made.Login) })
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the person's full name")
	return cmd
}

func (a *app) accountListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the people", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.box().Accounts(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(list, func(w io.Writer) {
				for _, p := range list {
					line := p.Login
					if p.FullName != "" {
						line += " (" + p.FullName + ")"
					}
					if len(p.Boxes) > 0 {
						line += ", keeps " + strings.Join(p.Boxes, ", ")
					}
					fmt.Fprintln(w, line)
				}
			})
		},
	}
}

func (a *app) accountPasswordCommand() *cobra.Command {
	var reset bool
	cmd := &cobra.Command{
		Use: "password LOGIN", Short: "Change a password (the old and the new one on the input, a line each)", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			var p api.NewPassword
			if !reset {
				if p.Old, err = a.password("Old password"); err != nil {
					return err
				}
			}
			if p.Password, err = a.password("New password"); err != nil {
				return err
			}
			if err := a.box().SetPassword(cmd.Context(), args[0], p); err != nil {
				return err
			}
			return a.done("The password of %s is changed, and all its sessions have ended.", args[0])
		},
	}
	cmd.Flags().BoolVar(&reset, "reset", false, "without the old one; a keeper then loses the right to sign")
	return cmd
}

func (a *app) accountRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove LOGIN", Short: "Remove a person; the files stay", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.box().RemoveAccount(cmd.Context(), args[0]); err != nil {
				return err
			}
			return a.done("%s is removed. The files are kept.", args[0])
		},
	}
}

func (a *app) deviceAddCommand() *cobra.Command {
	return &cobra.Command{
		Use: "add LOGIN LABEL", Short: "Make a password for one program or machine", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.box().AddDevice(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return a.show(d, func(w io.Writer) {
				fmt.Fprintf(w, "Password for %s (ID %s):\n\n    %s\n\nIt is shown this once and kept nowhere.\n", d.Label, d.ID, d.Password)
			})
		},
	}
}

func (a *app) deviceListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list LOGIN", Short: "Show the device passwords of a person", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.box().Devices(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.show(list, func(w io.Writer) {
				for _, d := range list {
					fmt.Fprintf(w, "%s  %s, since %s\n", d.ID, d.Label, d.Created.Format("2 Jan 2006"))
				}
			})
		},
	}
}

func (a *app) deviceRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove LOGIN ID", Short: "Take a device password away", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.box().RemoveDevice(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			return a.done("That password works no more.")
		},
	}
}
