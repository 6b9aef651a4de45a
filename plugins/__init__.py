"""
Everything that imports Airflow, save the DAG files.

Belongs here: builders (spec -> DAG), operators (command -> finished task), hooks (Airflow -> store). Does not belong
here: work on data, which is done by steps in processes of their own. DAG files import ``plugins.pipelines`` only.
"""
