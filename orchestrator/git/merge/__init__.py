"""What a merge of two trees comes to, and what is given to it: the files that it leaves out, its options, and what the
submodules of a clone tell of it.  It knows trees and git, no commits of a release and nothing of release.yaml.
"""
