"""
Thin files: a loop over projects and a builder of ``plugins.pipelines`` each.

Does not belong here: anything else. These files are read again and again, by machines and by people.
"""
